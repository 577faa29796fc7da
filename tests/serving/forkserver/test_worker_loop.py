"""The worker's loop: it loads a model, responds to batches, and ends when TorchServe closes the connection."""

import logging
import socket
import struct
from types import SimpleNamespace

import pytest
import ts.service
from ts.metrics.metric_type_enum import MetricTypes
from ts.protocol.otf_message_handler import create_load_model_response
from ts.service import PREDICTION_METRIC, Service

from marina.serving.forkserver import protocol, worker
from marina.serving.forkserver.protocol import DisconnectedError, decoded
from marina.serving.forkserver.worker import ThrottledGauge, Worker

END = struct.pack("!i", -1)


def field(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


LOAD = b"L" + field(b"m") + field(b"/m") + struct.pack("!i", 4) + field(b"h.py") + END + field(b"") + b"\1"
BATCH = b"I" + field(b"r-1") + END + field(b"body") + field(b"text/plain") + field(b"x") + END + END


def converse(messages: bytes, loads=(True,)) -> tuple[bytes, SimpleNamespace, BaseException]:
    """Return the worker's responses to `messages`, a record of its calls, and its final exception.

    `loads`: whether each load succeeds.
    """
    seen = SimpleNamespace(loaded=[], batches=[], sockets=[], gauges={PREDICTION_METRIC: "gauge"})
    made = Worker.__new__(Worker)
    made.metrics_cache = SimpleNamespace(cache={MetricTypes.GAUGE: seen.gauges})

    class Model:
        def predict(self, batch):
            seen.batches.append(batch)
            return b"<response>"

        def set_cl_socket(self, connection):
            seen.sockets.append(connection)

    left = list(loads)

    def load_model(message):
        seen.loaded.append(message)
        return (Model(), "loaded", 200) if left.pop(0) else (None, "broken", 507)

    made.load_model = load_model
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(messages)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises((DisconnectedError, RuntimeError, ValueError)) as end:
            made.handle_connection(ours)
        assert all(each is ours for each in seen.sockets)
        ours.shutdown(socket.SHUT_WR)  # a reader may still hold it open
        response = b""
        while part := theirs.recv(65536):
            response += part
    return response, seen, end.value


def test_a_model_is_loaded_and_responds_to_batches_until_the_end():
    response, seen, end = converse(LOAD + BATCH + BATCH)
    assert isinstance(end, DisconnectedError)
    assert response == bytes(create_load_model_response(200, "loaded")) + b"<response>" * 2
    (loaded,) = seen.loaded
    assert loaded == {
        "modelName": b"m", "modelPath": b"/m", "batchSize": 4, "handler": b"h.py", "envelope": b"",
        "limitMaxImagePixels": True,
    }  # fmt: skip
    processors, inputs, ids = seen.batches[0]
    assert (len(processors), inputs, ids) == (1, [{"body": "x"}], {0: "r-1"})
    assert len(seen.sockets) == 1
    gauge = seen.gauges[PREDICTION_METRIC]
    assert isinstance(gauge, ThrottledGauge)
    assert gauge._gauge == "gauge"


def test_a_model_that_cannot_be_loaded_ends_the_worker():
    response, _, end = converse(LOAD, loads=(False,))
    assert response == bytes(create_load_model_response(507, "broken"))
    assert (type(end), str(end)) == (RuntimeError, "507 - broken")


@pytest.mark.parametrize(("messages", "command"), [(b"X", b"X"), (BATCH, b"I")])
def test_what_a_worker_does_not_understand_ends_it(messages, command):
    _, _, end = converse(messages)
    assert (type(end), str(end)) == (ValueError, f"unexpected command {command!r}")


@pytest.fixture
def serving_once(monkeypatch, tmp_path):
    """`main` with a worker that raises `ends`, if it is set; `made` records how the worker was created."""
    state = SimpleNamespace(ends=None, made=[], socket=tmp_path / "s")
    monkeypatch.setattr(ts.service, "create_predict_response", ts.service.create_predict_response)
    monkeypatch.setattr(Service, "retrieve_data_for_inference", Service.retrieve_data_for_inference)
    monkeypatch.setattr(worker.logging, "basicConfig", lambda **options: state.made.append(options))

    class Made:
        def __init__(self, *arguments):
            state.made.append(arguments)

        def run_server(self):
            if state.ends:
                raise state.ends

    monkeypatch.setattr(worker, "Worker", Made)
    return state


@pytest.mark.parametrize(("ends", "code"), [(DisconnectedError(), 0), (ValueError("a bug"), 1), (None, 1)])
def test_a_worker_ends_well_only_when_torchserve_closes_the_connection(serving_once, caplog, ends, code):
    serving_once.ends = ends
    serving_once.socket.touch()
    arguments = ["--sock-type", "unix", "--sock-name", str(serving_once.socket), "--metrics-config", "/m.yaml"]
    assert worker.main(arguments) == code
    assert not serving_once.socket.exists()
    options, made = serving_once.made
    assert options == {"stream": worker.sys.stdout, "format": "%(message)s", "level": logging.INFO}
    assert made == ("unix", str(serving_once.socket), None, None, "/m.yaml", False)
    assert [record.message for record in caplog.records] == ["Backend worker process died."] * isinstance(
        ends, ValueError
    )
    assert ts.service.create_predict_response is protocol.encode_response
    assert Service.retrieve_data_for_inference("batch") == "batch"


def test_a_worker_by_tcp_has_no_socket_to_remove(serving_once):
    serving_once.ends = DisconnectedError()
    assert worker.main(["--sock-type", "tcp", "--host", "h", "--port", "9000"]) == 0
    assert serving_once.made[1][:4] == ("tcp", None, "h", "9000")


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b"{", "application/json", b"{"),
        (b'{"a": 1}', "application/json; charset=utf-8", b'{"a": 1}'),
        (b"x", "text/plain", "x"),
        (b"\xff", "text/plain", b"\xff"),
        (b"x", "image/png", b"x"),
    ],
)
def test_json_and_text_are_decoded_and_what_is_broken_stays_bytes(value, kind, found):
    assert decoded(value, kind) == found
