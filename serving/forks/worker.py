"""A worker that speaks the protocol of ts/model_service_worker.py, at a fraction of its cost a request.

TorchServe's own asks the system for every header and field of a request apart, and prints lines with each batch that
Java reads, matches and throws away. This one reads by the kilobyte and prints what somebody will see.
"""

import logging
import socket
import sys
import time
from pathlib import Path
from typing import Any

import ts.service
from ts.arg_parser import ArgParser
from ts.metrics.metric_type_enum import MetricTypes
from ts.model_service_worker import TorchModelServiceWorker
from ts.protocol.otf_message_handler import create_load_model_response
from ts.service import PREDICTION_METRIC, Service

from serving.forks.protocol import DisconnectedError, Reader, reply


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
            match reader.command():
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
    # The two that Service.predict calls, by which it spends most of its time.
    Service.retrieve_data_for_inference = staticmethod(lambda batch: batch)
    ts.service.create_predict_response = reply
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
