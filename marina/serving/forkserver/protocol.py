"""TorchServe's wire protocol for workers: it reads batches and writes responses.

Integers have four bytes, big-endian; -1 ends a list.
"""

import socket
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from orjson import loads
from ts.context import Context, RequestProcessor
from ts.protocol.otf_message_handler import create_predict_response

from marina.headers import CREDENTIALS

BUFFER = 1 << 18
INTEGER = struct.Struct("!i")
END = INTEGER.pack(-1)
# Headers, fields by name, and ids of the requests of a batch, as Service.predict passes them to handlers.
Batch = tuple[list[RequestProcessor], list[dict[str, Any]], dict[int, str]]


class DisconnectedError(Exception):
    """TorchServe closed the connection: this worker must end."""


class Reader:
    """Reader of messages from a connection; each method raises DisconnectedError at its end."""

    def __init__(self, connection: socket.socket) -> None:
        self._read = connection.makefile("rb", buffering=BUFFER).read

    def command(self) -> bytes:
        """Return the letter that a message begins with."""
        return self._read(1) or self._end()

    def load(self) -> dict[str, Any]:
        """Return the model to load, as ts.model_service_worker takes it."""
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
        """Return the requests of one batch: headers (those of form parts included), fields and ids."""
        # A thousand small reads a millisecond: avoid every call. A read that falls short raises struct.error at the
        # next integer, and a batch ends with an integer.
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
                    value = read(unpack(read(4))[0])
                    if name.lower() not in CREDENTIALS:
                        headers[name] = value.decode()
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
    """Return JSON and text decoded, as TorchServe passes them to handlers; other or malformed content stays bytes."""
    try:
        if kind == "application/json":
            return loads(value)
        return value.decode() if kind.startswith("text") else value
    except ValueError:
        return value


def encode_response(
    values: list[Any] | None, ids: Mapping[int, str], message: str, code: int, context: Context | None = None
) -> bytes | bytearray:
    """Return the message for a batch: `values` in order, with the status and headers that `context` holds for each."""
    if values is None or context is None or not complete(values, context):
        whole: bytearray = create_predict_response(values, ids, message, code, context)
        return whole
    pack = INTEGER.pack
    parts = [pack(code), *field(message)]
    for index, value in enumerate(values):
        status, phrase = context.get_response_status(index)
        status = 200 if status is None else status
        headers = context.get_response_headers(index)
        parts += (
            *field(ids[index]),
            *cached_field(headers.get("content-type", "")),
            pack(status),
            *cached_field(phrase or ""),
        )
        parts.append(pack(len(headers)))
        for name, text in headers.items():
            parts += (*cached_field(name), *field(text))
        parts += (pack(len(value)), value)
    return b"".join((*parts, END))


def complete(values: list[Any], context: Context) -> bool:
    """Return True if all values are bytes and none is part of a stream: TorchServe encodes the others."""
    streams = (context.get_response_headers(index).get("ts_stream_next") for index in range(len(values)))
    return not context.stopping_criteria and not any(streams) and all(type(value) is bytes for value in values)


def field(text: str) -> tuple[bytes, bytes]:
    """Return the length of a text, and the text, as bytes."""
    data = text.encode()
    return INTEGER.pack(len(data)), data


cached_field = lru_cache(256)(field)  # for names and values that repeat
