"""Worker that implements the protocol of ts/model_service_worker.py at a fraction of its cost per request.

TorchServe's own worker calls the system for every header and field of a request, and prints lines for each batch that
Java reads, matches and discards. This one reads by the kilobyte, and prints only lines that are used.
"""

import logging
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import ts.service
from ts.arg_parser import ArgParser
from ts.metrics.metric_type_enum import MetricTypes
from ts.model_service_worker import TorchModelServiceWorker
from ts.protocol.otf_message_handler import create_load_model_response
from ts.service import PREDICTION_METRIC, Service

from marina.serving.forkserver.protocol import DisconnectedError, Reader, encode_response


class ThrottledGauge:
    """Gauge that is updated at most ten times a second: TorchServe parses one printed line for each update."""

    SECONDS = 0.1

    def __init__(self, gauge: Any) -> None:
        self._gauge = gauge
        self._next_update = 0.0

    def add_or_update(self, *values: Any) -> None:
        """Update the gauge, unless an update was less than 0.1 s ago."""
        now = time.monotonic()
        if now >= self._next_update:
            self._next_update = now + self.SECONDS
            self._gauge.add_or_update(*values)


class Worker(TorchModelServiceWorker):
    """Worker that loads a model and responds to batches until TorchServe closes the connection."""

    def handle_connection(self, cl_socket: socket.socket) -> None:
        """Serve one connection.

        Raises DisconnectedError when it ends, and RuntimeError for a model that can't be loaded.
        """
        gauges = self.metrics_cache.cache[MetricTypes.GAUGE]
        gauges[PREDICTION_METRIC] = ThrottledGauge(gauges[PREDICTION_METRIC])
        reader = Reader(cl_socket)
        service = None
        while True:
            match reader.command():
                case b"I" if service is not None:
                    cl_socket.sendall(service.predict(reader.batch()))
                case b"L":
                    service, message, code = self.load_model(reader.load())
                    cl_socket.sendall(create_load_model_response(code, message))
                    if service is None:
                        raise RuntimeError(f"{code} - {message}")
                    service.set_cl_socket(cl_socket)
                case command:
                    raise ValueError(f"unexpected command {command!r}")


def main(arguments: list[str]) -> int:
    """Serve one model; return the exit status. `arguments` are those of ts/model_service_worker.py."""
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
    # The two functions of Service.predict that take most of its time.
    Service.retrieve_data_for_inference = staticmethod(lambda batch: batch)
    ts.service.create_predict_response = encode_response
    args = ArgParser.model_service_worker_args().parse_args(arguments)
    try:
        worker = Worker(args.sock_type, args.sock_name, args.host, args.port, args.metrics_config, args.async_comm)
        worker.run_server()
    except DisconnectedError:
        return 0
    except Exception:  # any: TorchServe shows the last lines of a worker that died
        logging.exception("Backend worker process died.")
    finally:
        if args.sock_name is not None:
            with suppress(PermissionError):  # a confined worker leaves its socket to its successor
                Path(args.sock_name).unlink(missing_ok=True)
    return 1
