"""A worker that speaks the protocol of ts/model_service_worker.py, at a fraction of its cost a request.

TorchServe's own asks the system for every header and field of a request apart, and prints lines with each batch that
Java reads, matches and throws away. This one reads by the kilobyte and prints what somebody will see.
"""

import logging
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

from orjson import loads
from ts.arg_parser import ArgParser
from ts.metrics.metric_type_enum import MetricTypes
from ts.model_service_worker import TorchModelServiceWorker
from ts.protocol.otf_message_handler import create_load_model_response
from ts.service import PREDICTION_METRIC

BUFFER = 1 << 18


class DisconnectedError(Exception):
    """TorchServe closed the connection: this worker is no longer wanted."""


class Reader:
    """Fields of messages: integers are four bytes, the rest bytes with their length in front; -1 ends a list."""

    def __init__(self, connection: socket.socket) -> None:
        self._read = connection.makefile("rb", buffering=BUFFER).read

    def take(self, length: int) -> bytes:
        data = self._read(length)
        if len(data) < length:
            raise DisconnectedError
        return data

    def number(self) -> int:
        return int(struct.unpack("!i", self.take(4))[0])

    def field(self) -> bytes:
        return self.take(self.number())

    def load(self) -> dict[str, Any]:
        """What to load."""
        message: dict[str, Any] = {"modelName": self.field(), "modelPath": self.field(), "batchSize": self.number()}
        message |= {"handler": self.field(), "gpu": self.number(), "envelope": self.field()}
        message["limitMaxImagePixels"] = self.take(1) != b"\0"
        if message["gpu"] < 0:
            del message["gpu"]
        return message

    def batch(self) -> list[dict[str, Any]]:
        """The requests of one batch, as ts.service.Service.predict takes them."""
        requests = []
        while (length := self.number()) >= 0:
            request: dict[str, Any] = {"requestId": self.take(length), "headers": [], "parameters": []}
            while (length := self.number()) >= 0:
                request["headers"].append({"name": self.take(length), "value": self.field()})
            while (length := self.number()) >= 0:
                name, kind = self.take(length).decode(), self.field().decode()
                value = decoded(self.field(), kind)
                request["parameters"].append({"name": name, "contentType": kind, "value": value})
            requests.append(request)
        return requests


def decoded(value: bytes, kind: str) -> Any:
    """JSON and text as TorchServe hands them to handlers; what is neither, or broken, stays bytes."""
    try:
        if kind == "application/json":
            return loads(value)
        return value.decode() if kind.startswith("text") else value
    except ValueError:
        return value


class Seldom:
    """A gauge that is told ten times a second at most: each telling is a line that TorchServe must match and parse."""

    SECONDS = 0.1

    def __init__(self, gauge: Any) -> None:
        self._gauge = gauge
        self._not_before = 0.0

    def add_or_update(self, *told: Any) -> None:
        now = time.monotonic()
        if now >= self._not_before:
            self._not_before = now + self.SECONDS
            self._gauge.add_or_update(*told)


class Worker(TorchModelServiceWorker):
    """Loads a model and answers batches until TorchServe hangs up."""

    def handle_connection(self, cl_socket: socket.socket) -> None:
        """Raises DisconnectedError at the end; RuntimeError for a model that can't be loaded."""
        gauges = self.metrics_cache.cache[MetricTypes.GAUGE]
        gauges[PREDICTION_METRIC] = Seldom(gauges[PREDICTION_METRIC])
        reader = Reader(cl_socket)
        service = None
        while True:
            match reader.take(1):
                case b"I" if service is not None:
                    cl_socket.sendall(service.predict(reader.batch()))
                case b"L":
                    service, said, code = self.load_model(reader.load())
                    cl_socket.sendall(create_load_model_response(code, said))
                    if service is None:
                        raise RuntimeError(f"{code} - {said}")
                    service.set_cl_socket(cl_socket)
                case command:
                    raise ValueError(f"unexpected command {command!r}")


def main(arguments: list[str]) -> int:
    """Serve one model; the exit status. `arguments` are those of ts/model_service_worker.py."""
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
    args = ArgParser.model_service_worker_args().parse_args(arguments)
    try:
        worker = Worker(args.sock_type, args.sock_name, args.host, args.port, args.metrics_config, args.async_comm)
        worker.run_server()
    except DisconnectedError:
        return 0
    except Exception:  # whatever it is: TorchServe shows the last lines of a worker that died
        logging.exception("Backend worker process died.")
    finally:
        if args.sock_name is not None:
            Path(args.sock_name).unlink(missing_ok=True)
    return 1
