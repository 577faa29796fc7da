"""The benchmark's clients count responses and errors, and detect a stalled server."""

import json
import os
import signal
import threading

import numpy as np
import pytest

from benchmarks.load import open_loop
from benchmarks.load.closed_loop import closed_loop
from benchmarks.load.noop_server import BODY, reply
from benchmarks.load.wire import BrokenResponseError, Target, request, split
from tests.support.stub_servers import scripted, standin


def test_a_connection_is_kept_alive_and_every_response_counted():
    with scripted(lambda _, __: reply()) as (to, accepted):
        found = closed_loop(
            to, concurrency=3, seconds=0.5, warm_up=0.1, is_right=lambda _, got: got == json.loads(BODY)
        )
        assert len(accepted) == 3
    assert found.responses == len(found.latencies) > 10
    assert (found.errors, found.wrong) == (0, 0)
    assert 0 < found.quantile(0.5) <= found.quantile(0.99) < 0.5


def test_errors_are_not_counted_as_responses():
    with scripted(lambda _, __: reply(status=503)) as (to, _):
        found = closed_loop(to, 2, 0.3, 0)
    assert found.responses == 0
    assert found.errors > 5
    assert np.isnan(found.quantile(0.5))


def test_a_closed_connection_is_an_error_and_reopened():
    with scripted(lambda count, _: reply() if count > 2 else b"") as (to, accepted):
        found = closed_loop(to, 1, 0.5, 0)  # one connection: of two, a busy machine may not serve both in time
        assert len(accepted) == 3
    assert found.errors == 2
    assert found.responses > 5


def test_wrong_bodies_are_found():
    def respond(_, sent):
        number = json.loads(sent.partition(b"\r\n\r\n")[2])["number"]
        return reply(json.dumps({"prediction": 7 if number == 2 else number}).encode())

    with scripted(respond) as (to, _):
        found = closed_loop(to, 1, 0.5, 0, is_right=lambda number, got: got["prediction"] == number)
    sent = [number for number, _ in found.bodies]
    assert found.wrong == sent.count(2) > 0
    assert set(sent) == {0, 1, 2, 3}


def test_a_chunked_response_that_arrives_in_pieces():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with scripted(lambda _, __: [head, b"5\r\n[1, 2\r\n3", b";x=y\r\n, 3\r\n1\r\n]\r\n", b"0\r\n\r\n"]) as (to, _):
        found = closed_loop(to, 1, 0.4, 0, is_right=lambda _, got: got == [1, 2, 3])
    assert found.responses > 2
    assert (found.errors, found.wrong) == (0, 0)


@pytest.mark.parametrize(
    "whole", [reply(b"{}"), b"HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"]
)
def test_an_incomplete_response_is_not_parsed(whole):
    assert all(split(whole[:end]) is None for end in range(len(whole)))
    assert split(whole) in {(200, b"{}"), (404, b"ab")}


@pytest.mark.parametrize("broken", [b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nbody"])
def test_bytes_that_are_no_http_response_are_an_error(broken):
    with pytest.raises(BrokenResponseError):
        split(broken)


def test_a_long_request_is_sent_whole():
    body = b"x" * 3_000_000
    with scripted(lambda _, sent: reply(str(len(sent.partition(b"\r\n\r\n")[2])).encode())) as (to, _):
        long = Target(to.host, to.port, [request("/", body, {})], json.loads)
        found = closed_loop(long, 1, 1.0, 0, is_right=lambda _, got: got == len(body))
    assert found.responses > 0
    assert (found.errors, found.wrong) == (0, 0)


def test_a_stall_of_two_seconds_shows_in_p99():
    with standin() as (process, to):
        calm = open_loop.server(to, 100, 4, lambda _, got: got == json.loads(BODY))
        threading.Timer(1, os.kill, (process.pid, signal.SIGSTOP)).start()
        threading.Timer(3, os.kill, (process.pid, signal.SIGCONT)).start()
        stalled = open_loop.server(to, 100, 4, lambda _, got: got == json.loads(BODY))
        quick = open_loop.offline(to, 500, 1, lambda _, got: got == json.loads(BODY))
    assert calm.meets(calm.p99)
    # Half of the requests came while nothing moved, each of them waiting for what was left of the two seconds.
    assert stalled.p99 > 1.5
    assert not stalled.meets(1.5)
    assert quick.completed > 0
    assert (calm.errors, calm.wrong, quick.errors) == (0, 0, 0)


def test_open_loop_counts_errors_and_wrong_responses():
    with standin() as (_, to):
        assert open_loop.server(to, 100, 1, lambda _, __: False).wrong > 50
    with scripted(lambda _, __: reply(status=500)) as (to, _):
        found = open_loop.server(to, 50, 1, lambda _, __: True)
    assert found.errors > 20
    assert not found.meets(1e9)


def test_the_highest_rate_is_bracketed():
    def measure(rate):
        return open_loop.OpenResult(rate, rate, {"99.00": 0.1 if rate <= 77 else 1.0}, 0, 0)

    for low in (50, 100):  # the highest rate lies within the bracket, or below it
        probes = open_loop.highest_rate(measure, low, 200, bound=0.25, steps=7)
        best = max(probe.rate for probe in probes if probe.meets(0.25))
        assert 75 < best <= 77
