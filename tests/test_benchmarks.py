"""The benchmark measures what it says: replies are read and checked, stalls show, runs go on where they were."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from benchmarks import campaign, dialects, intervals, openloop, report, workloads
from benchmarks.campaign import Plan
from benchmarks.client import closed_loop
from benchmarks.processes import NotReadyError, free_ports
from benchmarks.records import Records, Step
from benchmarks.standin import BODY, missing, reply
from benchmarks.wire import BrokenReplyError, Target, request, split

ROOT = campaign.limit.__file__.rsplit("/", 2)[0]


@contextmanager
def standin():
    """The no-op server as a process, and its target."""
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.standin", str(port)], cwd=ROOT)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield process, target(port)
    finally:
        process.kill()
        process.wait()


def target(port, count=4):
    return Target("127.0.0.1", port, [request("/", b'{"number": %d}' % i, {}) for i in range(count)], json.loads)


def received(client):
    try:
        return client.recv(1 << 16)
    except ConnectionResetError:  # the client closes with a reply under way
        return b""


@contextmanager
def scripted(answer):
    """A server in a thread: `answer(count, request)` gives the bytes of a reply; an empty one hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted = []

    def talk(client):
        buffer = b""
        with client:
            while part := received(client):
                buffer += part
                if not missing(buffer):
                    answered = answer(len(accepted), buffer)
                    if not answered:
                        return
                    for piece in answered if isinstance(answered, list) else [answered]:
                        client.sendall(piece)
                        time.sleep(0.005)
                    buffer = b""

    def accept():
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            accepted.append(client)
            threading.Thread(target=talk, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield target(listener.getsockname()[1]), accepted
    finally:
        listener.close()


def test_a_connection_is_kept_and_every_answer_counted():
    with scripted(lambda _, __: reply()) as (to, accepted):
        found = closed_loop(
            to, concurrency=3, seconds=0.5, warm_up=0.1, is_right=lambda _, got: got == json.loads(BODY)
        )
        assert len(accepted) == 3
    assert found.answers == len(found.latencies) > 10
    assert (found.errors, found.wrong) == (0, 0)
    assert 0 < found.quantile(0.5) <= found.quantile(0.99) < 0.5


def test_errors_are_no_answers():
    with scripted(lambda _, __: reply(status=503)) as (to, _):
        found = closed_loop(to, 2, 0.3, 0)
    assert found.answers == 0
    assert found.errors > 5
    assert np.isnan(found.quantile(0.5))


def test_a_server_that_hangs_up_is_an_error_and_asked_again():
    with scripted(lambda count, _: reply() if count > 2 else b"") as (to, accepted):
        found = closed_loop(to, 2, 0.5, 0)
        assert len(accepted) >= 4
    assert found.errors == 2
    assert found.answers > 5


def test_wrong_bodies_are_found():
    def answer(_, asked):
        number = json.loads(asked.partition(b"\r\n\r\n")[2])["number"]
        return reply(json.dumps({"prediction": 7 if number == 2 else number}).encode())

    with scripted(answer) as (to, _):
        found = closed_loop(to, 1, 0.5, 0, is_right=lambda number, got: got["prediction"] == number)
    asked = [number for number, _ in found.bodies]
    assert found.wrong == asked.count(2) > 0
    assert set(asked) == {0, 1, 2, 3}


def test_a_reply_in_pieces_and_in_chunks():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with scripted(lambda _, __: [head, b"5\r\n[1, 2\r\n3", b";x=y\r\n, 3\r\n1\r\n]\r\n", b"0\r\n\r\n"]) as (to, _):
        found = closed_loop(to, 1, 0.4, 0, is_right=lambda _, got: got == [1, 2, 3])
    assert found.answers > 2
    assert (found.errors, found.wrong) == (0, 0)


@pytest.mark.parametrize(
    "whole", [reply(b"{}"), b"HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"]
)
def test_no_part_of_a_reply_is_a_reply(whole):
    assert all(split(whole[:end]) is None for end in range(len(whole)))
    assert split(whole) in {(200, b"{}"), (404, b"ab")}


@pytest.mark.parametrize("broken", [b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nbody"])
def test_what_is_no_reply_is_refused(broken):
    with pytest.raises(BrokenReplyError):
        split(broken)


def test_a_long_request_is_sent_whole():
    body = b"x" * 3_000_000
    with scripted(lambda _, asked: reply(str(len(asked.partition(b"\r\n\r\n")[2])).encode())) as (to, _):
        long = Target(to.host, to.port, [request("/", body, {})], json.loads)
        found = closed_loop(long, 1, 1.0, 0, is_right=lambda _, got: got == len(body))
    assert found.answers > 0
    assert (found.errors, found.wrong) == (0, 0)


def test_a_stall_of_two_seconds_shows_in_p99():
    with standin() as (process, to):
        calm = openloop.server(to, 100, 4, lambda _, got: got == json.loads(BODY))
        threading.Timer(1, os.kill, (process.pid, signal.SIGSTOP)).start()
        threading.Timer(3, os.kill, (process.pid, signal.SIGCONT)).start()
        stalled = openloop.server(to, 100, 4, lambda _, got: got == json.loads(BODY))
        quick = openloop.offline(to, 500, 1, lambda _, got: got == json.loads(BODY))
    assert calm.meets(0.5)
    # Half of the requests came while nothing moved, each of them waiting for what was left of the two seconds.
    assert 1.5 < stalled.p99 < 2.5
    assert not stalled.meets(0.5)
    assert quick.completed > 100
    assert (calm.errors, calm.wrong, quick.errors) == (0, 0, 0)


def test_open_loop_counts_errors_and_wrong_answers():
    with standin() as (_, to):
        assert openloop.server(to, 100, 1, lambda _, __: False).wrong > 50
    with scripted(lambda _, __: reply(status=500)) as (to, _):
        found = openloop.server(to, 50, 1, lambda _, __: True)
    assert found.errors > 20
    assert not found.meets(1e9)


def test_the_highest_rate_is_bracketed():
    def measure(rate):
        return openloop.OpenResult(rate, rate, {"99.00": 0.1 if rate <= 77 else 1.0}, 0, 0)

    for low in (50, 100):  # the answer lies within the bracket, or below it
        probes = openloop.highest_rate(measure, low, 200, bound=0.25, steps=7)
        best = max(probe.rate for probe in probes if probe.meets(0.25))
        assert 75 < best <= 77


def test_statistics_on_known_numbers():
    found = intervals.of_median([10.0, 11, 12, 13, 14])
    assert (found.median, found.count) == (12, 5)
    assert found.low == 10
    assert found.high == 14
    assert found.text() == "12.0 (10.0 to 14.0)"
    assert intervals.of_median([3.0]).text() == "3.0"
    # Both are four times slower in the second round: their ratio is not.
    ratio = intervals.of_ratio({0: 40.0, 1: 10.0, 2: 41.0, 9: 1.0}, {0: 20.0, 1: 5.0, 2: 20.5})
    assert ratio == intervals.Interval(2.0, 2.0, 2.0, 3)
    assert intervals.of_ratio({0: 1.0}, {1: 1.0}) is None


def test_the_interval_of_a_median_covers_it():
    random = np.random.default_rng(1)
    found = [intervals.of_median(random.normal(100, 5, 15).tolist()) for _ in range(60)]
    covered = sum(each.low <= 100 <= each.high for each in found)
    assert 51 <= covered <= 60
    assert all(each.low < each.median < each.high for each in found)


@pytest.mark.parametrize("name", ["W1", "W2"])
def test_answers_are_reproducible_and_belong_to_their_question(name, tmp_path, monkeypatch):
    first = workloads.load(name)
    monkeypatch.setattr(workloads, "WEIGHTS", tmp_path)
    monkeypatch.setattr(workloads.networks, "WEIGHTS", tmp_path)
    workloads.load.cache_clear()
    workloads.jpegs.cache_clear()
    again = workloads.load(name)
    workloads.load.cache_clear()  # others must not find that its weights lie elsewhere
    assert again.bodies == first.bodies
    assert np.allclose(again.expected, first.expected, atol=1e-4)
    assert len(set(first.bodies)) == len(first.bodies)
    replies = workloads.networks.tuned(name).answer(list(first.bodies[:8]))
    parsed = [json.loads(each) for each in replies]
    for number, got in enumerate(parsed):
        assert first.is_right(number, got)
        assert not first.is_right((number + 1) % 8, got)
    assert not first.is_right(0, {"unexpected": 1})
    assert not first.is_right(0, None)


def test_a_number_a_little_off_is_wrong():
    rows = workloads.load("W2")
    assert rows.is_right(0, {"prediction": rows.expected[0] * 1.0005})
    assert not rows.is_right(0, {"prediction": rows.expected[0] * 1.01})
    assert not rows.is_right(0, {"prediction": float("nan")})


def test_every_dialect_carries_the_question():
    rows = workloads.load("W2")
    for dialect in (dialects.plain("/p"), dialects.v2("/p"), dialects.v2_binary("/p"), dialects.batch_of_one("/p")):
        asked = dialect.target(rows, 1, {"X-Key": "k"}).requests[3]
        head, _, body = asked.partition(b"\r\n\r\n")
        assert head.startswith(b"POST /p HTTP/1.1\r\n")
        assert b"X-Key: k" in head
        assert f"Content-Length: {len(body)}".encode() in head
        assert str(json.loads(rows.bodies[3])["features"][5]).encode() in body
    binary = json.dumps({"outputs": [{"parameters": {"binary_data_size": 10}}]}).encode() + b"\x06\0\0\0[1, 2]"
    assert dialects.v2_binary("/").read(binary) == [1, 2]
    assert dialects.v2("/").read(b'{"outputs": [{"data": ["[3]"]}]}') == [3]
    for own in ({"prediction": 1.5}, {"predictions": [{"label": "7", "probability": 0.5}]}):
        assert dialects.stock_torchserve("/").read(json.dumps(own).encode()) == own
    assert dialects.stock_torchserve("/").read(b'{"7": 0.5}') == {"predictions": [{"label": "7", "probability": 0.5}]}


class Fake:
    """A stack that is another stand-in: it counts its starts, and may refuse to start."""

    def __init__(self, works=True):
        self.works, self.starts = works, 0

    @contextmanager
    def serving(self, workload):
        self.starts += 1
        if not self.works:
            raise NotReadyError("it has no wheel for this machine")
        with scripted(lambda _, __: reply(json.dumps({"prediction": workload.expected[0]}).encode())) as (to, _):
            yield Target(to.host, to.port, to.requests[:1], json.loads)


@pytest.fixture
def fakes(monkeypatch):
    found = {"a": Fake(), "b": Fake(), "broken": Fake(works=False)}
    monkeypatch.setattr(campaign.stacks, "of", lambda _: found)
    return found


PLAN = Plan(stacks=("a", "b", "broken"), workloads=("W2",), rounds=2, concurrencies=(1, 2), seconds=0.1, warm_up=0)


def test_rounds_are_interleaved():
    order = [(steps[0].round, steps[0].stack) for steps in Plan(stacks=("torchserve", "marina"), rounds=2).visits()]
    assert order == [
        *((0, "torchserve"), (0, "marina"), (0, "torchserve"), (0, "marina")),
        *((1, "torchserve"), (1, "marina"), (1, "torchserve"), (1, "marina")),
    ]
    limits = [step for steps in Plan(stacks=("limit-batch1",), rounds=1).visits() for step in steps]
    assert limits == [Step(0, "W2", "limit-batch1", "limit")]  # W1 has no batch of 1


def test_a_run_goes_on_where_it_was(tmp_path, fakes):
    path = tmp_path / "measurements.jsonl"
    campaign.run(PLAN, Records.open(path, {"seconds": 1}))
    assert [fakes[name].starts for name in ("a", "b", "broken")] == [2, 2, 1]
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], lines[3][:20]]))  # cut off while b was measured for the first time

    again = Records.open(path, {"seconds": 1})
    assert len(again.found) == 2
    campaign.run(PLAN, again)
    assert [fakes[name].starts for name in ("a", "b", "broken")] == [3, 4, 2]
    assert again.found.keys() == Records.open(path, {"seconds": 1}).found.keys()
    assert set(again.by_round("W2", "closed", 2)) == {"a", "b"}
    assert all(set(rounds) == {0, 1} for rounds in again.by_round("W2", "closed", 2).values())


def test_other_settings_begin_anew(tmp_path):
    path = tmp_path / "measurements.jsonl"
    Records.open(path, {"seconds": 1}).add(Step(0, "W2", "a"), rate=1.0)
    assert not Records.open(path, {"seconds": 2}).found
    assert len(list(tmp_path.iterdir())) == 2  # what was measured before is kept


def test_the_report_says_what_is_wrong_and_what_is_missing(tmp_path):
    records = Records.open(tmp_path / "m.jsonl", {})
    for number, slow in enumerate((1, 2)):
        for name, rate in {
            "torchserve": 100,
            "marina": 400,
            "fastapi": 200,
            "broken-answers": 50,
            "noop": 8000,
        }.items():
            values = {
                "rate": rate / slow,
                "p50": 0.01,
                "p99": 0.02,
                "errors": 0,
                "wrong": int(name == "broken-answers"),
            }
            records.add(Step(number, "W2", name, load=16), **values)
        records.add(Step(number, "W2", "limit", "limit"), rate=800 / slow)
    records.add(Step(0, "W2", "ray", "failed"), failed="no wheel")
    records.add(Step(0, "W1", "marina", "server"), best=90.0, probes=[{"rate": 90.0, "p99": 0.2}])
    names = ("torchserve", "marina", "fastapi", "broken-answers", "ray", "limit")
    facts = {"processor": "P", "cores": 2, "memory_gb": 1, "system": "S", "flags": ["avx2"], "versions": {"torch": "2"}}
    text = report.write(Plan(stacks=names, concurrencies=(16,)), records, facts, tmp_path / "out")
    (marina,) = (line for line in text.splitlines() if line.startswith("| marina | 300.0"))
    assert "4.00 (4.00 to 4.00)" in marina  # stock
    assert "0.50 (0.50 to 0.50)" in marina  # the limit
    assert "2.00 (2.00 to 2.00)" in marina  # the best peer
    assert "20.0 times the fastest stack" in text
    assert "| noop |" not in text
    assert "Not measured: ray: `no wheel`" in text
    assert "**broken-answers c16, round 1: 0 errors, 1 wrong.**" in text
    assert "| marina | 90.0 |" in text
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("report.md", "report.json", "W2-closed.png", "W1-open.png")
    }
