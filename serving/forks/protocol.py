"""TorchServe's wire protocol for workers: batches in, replies out. Integers are four bytes; -1 ends a list."""

import socket
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from orjson import loads
from ts.context import Context, RequestProcessor
from ts.protocol.otf_message_handler import create_predict_response

BUFFER = 1 << 18
INTEGER = struct.Struct("!i")
END = INTEGER.pack(-1)
# Headers, fields by name, and ids of the requests of a batch: what Service.predict hands to handlers.
Batch = tuple[list[RequestProcessor], list[dict[str, Any]], dict[int, str]]


class DisconnectedError(Exception):
    """TorchServe closed the connection: this worker is no longer wanted."""


class Reader:
    """Messages from a connection; each read raises DisconnectedError if it ends."""

    def __init__(self, connection: socket.socket) -> None:
        self._read = connection.makefile("rb", buffering=BUFFER).read

    def command(self) -> bytes:
        """The letter that a message begins with."""
        return self._read(1) or self._end()

    def load(self) -> dict[str, Any]:
        """What to load, as ts.model_service_worker takes it."""
        try:
            message: dict[str, Any] = {"modelName": self._field(), "modelPath": self._field()}
            message |= {"batchSize": self._number(), "handler": self._field()}
            message |= {"gpu": self._number(), "envelope": self._field()}
        except struct.error:
            self._end()
        message["limitMaxImagePixels"] = self.command() != b"\0"
        if message["gpu"] < 0:
            del message["gpu"]
        return message

    def batch(self) -> Batch:
        """The requests of one batch: headers (form parts have their own among them), fields and ids."""
        # A thousand small reads a millisecond: no call that can be spared. One that falls short fails at the next
        # integer, and the last thing in a batch is an integer.
        read, unpack = self._read, INTEGER.unpack
        processors: list[RequestProcessor] = []
        inputs: list[dict[str, Any]] = []
        ids: dict[int, str] = {}
        try:
            while (length := unpack(read(4))[0]) >= 0:
                ids[len(inputs)] = read(length).decode()
                headers: dict[str, Any] = {}
                while (length := unpack(read(4))[0]) >= 0:
                    name = read(length).decode()
                    headers[name] = read(unpack(read(4))[0]).decode()
                fields, kinds = {}, {}
                while (length := unpack(read(4))[0]) >= 0:
                    name = read(length).decode()
                    kind = read(unpack(read(4))[0]).decode()
                    fields[name] = decoded(read(unpack(read(4))[0]), kind)
                    kinds[name] = {"content-type": kind}
                processors.append(RequestProcessor(kinds | headers))
                inputs.append(fields)
        except struct.error:
            self._end()
        return processors, inputs, ids

    def _number(self) -> int:
        return int(INTEGER.unpack(self._read(4))[0])

    def _field(self) -> bytes:
        return self._read(self._number())

    def _end(self) -> Any:
        raise DisconnectedError


def decoded(value: bytes, kind: str) -> Any:
    """JSON and text as TorchServe hands them to handlers; what is neither, or broken, stays bytes."""
    try:
        if kind == "application/json":
            return loads(value)
        return value.decode() if kind.startswith("text") else value
    except ValueError:
        return value


def reply(
    values: list[Any] | None, ids: Mapping[int, str], message: str, code: int, context: Context | None = None
) -> bytes | bytearray:
    """The message for a batch: `values` in order, with the status and headers that `context` was given for each."""
    if values is None or context is None or not plain(values, context):
        whole: bytearray = create_predict_response(values, ids, message, code, context)
        return whole
    pack = INTEGER.pack
    parts = [pack(code), *field(message)]
    for index, value in enumerate(values):
        status, phrase = context.get_response_status(index)
        status = 200 if status is None else status
        headers = context.get_response_headers(index)
        parts += (*field(ids[index]), *known(headers.get("content-type", "")), pack(status), *known(phrase or ""))
        parts.append(pack(len(headers)))
        for name, text in headers.items():
            parts += (*known(name), *field(text))
        parts += (pack(len(value)), value)
    return b"".join((*parts, END))


def plain(values: list[Any], context: Context) -> bool:
    """Bytes, of which nothing more is to come: the rest is left to TorchServe."""
    streams = (context.get_response_headers(index).get("ts_stream_next") for index in range(len(values)))
    return not context.stopping_criteria and not any(streams) and all(type(value) is bytes for value in values)


def field(text: str) -> tuple[bytes, bytes]:
    """Its length, and itself."""
    data = text.encode()
    return INTEGER.pack(len(data)), data


known = lru_cache(256)(field)
