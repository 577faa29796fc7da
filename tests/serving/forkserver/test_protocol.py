"""The worker's protocol: it reads and writes the same bytes as TorchServe's own worker."""

import logging
import socket
import struct
import threading
from itertools import pairwise

import pytest
from ts.context import Context, RequestProcessor
from ts.protocol.otf_message_handler import create_predict_response, retrieve_msg
from ts.service import Service

from marina.serving.forkserver import worker
from marina.serving.forkserver.protocol import DisconnectedError, Reader, encode_response
from marina.serving.forkserver.worker import ThrottledGauge

REQUESTS = [
    {"id": b"r-1", "headers": {b"x-a": b"1", b"accept": b""}, "parts": [(b"body", b"application/json", b'{"a": [1]}')]},
    {"id": b"r-2", "headers": {}, "parts": [(b"body", b"text/plain; charset=utf-8", "好".encode())]},
    {"id": b"r-3", "headers": {b"y": b"2"}, "parts": []},
    {"id": b"r-4", "headers": {}, "parts": [(b"a", b"image/png", b"\xff" * 100_000), (b"b", b"", b"")]},
    {"id": b"r-5", "headers": {}, "parts": [(b"body", b"application/json", b"{broken"), (b"c", b"text/x", b"\xff")]},
]


END = struct.pack("!i", -1)


def field(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


def encoded(requests: list[dict]) -> bytes:
    """Return the message that TorchServe would send for a batch."""
    message = b"I"
    for request in requests:
        headers = b"".join(field(name) + field(value) for name, value in request["headers"].items())
        parts = b"".join(field(name) + field(kind) + field(value) for name, kind, value in request["parts"])
        message += field(request["id"]) + headers + END + parts + END
    return message + END


def read(message: bytes, reader) -> object:
    """Return `reader`'s result for the message, which arrives in pieces of different sizes."""
    ours, theirs = socket.socketpair()

    def send():
        cuts = sorted({0, 1, 2, 7, 50, 51, 1000, 70_000, len(message)})
        for start, end in pairwise(cut for cut in cuts if cut <= len(message)):
            theirs.sendall(message[start:end])

    thread = threading.Thread(target=send)
    thread.start()
    try:
        return reader(ours)
    finally:
        thread.join()
        ours.close()
        theirs.close()


def ours(connection: socket.socket) -> tuple:
    reader = Reader(connection)
    assert reader.command() == b"I"
    return comparable(*reader.batch())


def theirs(connection: socket.socket) -> tuple:
    command, message = retrieve_msg(connection)
    assert command == b"I"
    return comparable(*Service.retrieve_data_for_inference(message))


def comparable(processors: list[RequestProcessor], inputs: list[dict], ids: dict) -> tuple:
    return [processor.get_request_properties() for processor in processors], inputs, ids


@pytest.mark.parametrize("count", range(len(REQUESTS) + 1))
def test_a_batch_is_read_as_torchserve_reads_it(count, caplog):
    caplog.set_level(logging.CRITICAL)
    message = encoded(REQUESTS[:count])
    assert read(message, ours) == read(message, theirs)


def test_a_message_to_load_is_read_as_torchserve_reads_it():
    for gpu in (-1, 2):
        numbers = struct.pack("!i", 16), struct.pack("!i", gpu)
        message = b"L" + field(b"m") + field(b"/model") + numbers[0] + field(b"handler.py") + numbers[1] + field(b"")
        message += b"\1"
        assert read(message, lambda it: Reader(it).command()) == b"L"
        assert read(message[1:], lambda it: Reader(it).load()) == read(message, retrieve_msg)[1]


@pytest.mark.parametrize("missing", [1, 4, 8, 9, 20, 30])
def test_half_a_batch_is_the_end(missing):
    one, other = socket.socketpair()
    other.sendall(encoded(REQUESTS[:1])[1:-missing])
    other.close()
    with pytest.raises(DisconnectedError):
        Reader(one).batch()
    one.close()


def test_the_end_between_messages_and_within_one_to_load():
    for sent, what in ((b"", "command"), (struct.pack("!i", 16)[:2], "load"), (field(b"m") + field(b"/m"), "load")):
        one, other = socket.socketpair()
        other.sendall(sent)
        other.close()
        with pytest.raises(DisconnectedError):
            getattr(Reader(one), what)()
        one.close()


@pytest.mark.parametrize(
    ("values", "headers"),
    [
        ([b'{"a": 1}', b""], {"x-prediction": "%7B", "x-text": "\u00e9"}),
        ([b"\xff\x00", "\u597d"], {}),
        ([{"a": [1]}, b"x"], {}),
        ([b"one", b"two"], {"ts_stream_next": "true"}),
        ([], {}),
        (None, {}),
    ],
)
def test_a_reply_is_written_as_torchserve_writes_it(values, headers):
    def context() -> Context:
        made = Context("m", "/m", {}, 8, None, "0.12.0")
        made.request_processor = [RequestProcessor({}), RequestProcessor({})]
        made.set_response_status(None, None, 0)  # a handler may; it means 200
        made.set_response_status(400, "Bad Request", 1)
        made.set_response_content_type(0, "application/json")
        for name, value in headers.items():
            made.set_response_header(0, name, value)
        return made

    ids = {i: f"id-{i}" for i in range(len([b"", b""] if values is None else values))}
    for given in (context(), None):
        again = given and context()
        written = encode_response(values, ids, "Prediction success", 200, given)
        assert written == create_predict_response(values, ids, "Prediction success", 200, again)


def test_a_gauge_is_updated_at_most_ten_times_a_second(monkeypatch):
    updates: list[tuple] = []
    now = iter([0.0, 1.0, 1.05, 1.2])
    monkeypatch.setattr(worker.time, "monotonic", lambda: next(now))
    gauge = ThrottledGauge(type("Gauge", (), {"add_or_update": lambda _, *values: updates.append(values)})())
    for value in range(4):
        gauge.add_or_update(value, ["m"])
    assert updates == [(0, ["m"]), (1, ["m"]), (3, ["m"])]
