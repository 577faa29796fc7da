"""Campaigns of the benchmark: responses are checked, interrupted runs resume, and the report is complete."""

import json
from contextlib import contextmanager

import numpy as np
import pytest

from benchmarks import campaign, workloads
from benchmarks.campaign import Plan
from benchmarks.load import dialects
from benchmarks.load.noop_server import reply
from benchmarks.load.wire import Target
from benchmarks.processes import NotReadyError
from benchmarks.results import comparison_report, intervals
from benchmarks.results.records import Records, Step
from tests.support.stub_servers import scripted


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
    replies = workloads.networks.tuned(name).respond(list(first.bodies[:8]))
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


def test_every_dialect_contains_the_request():
    rows = workloads.load("W2")
    for dialect in (dialects.plain("/p"), dialects.v2("/p"), dialects.v2_binary("/p"), dialects.batch_of_one("/p")):
        sent = dialect.target(rows, 1, {"X-Key": "k"}).requests[3]
        head, _, body = sent.partition(b"\r\n\r\n")
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


def test_an_interrupted_run_resumes(tmp_path, fakes):
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


def test_other_settings_begin_a_new_file(tmp_path):
    path = tmp_path / "measurements.jsonl"
    Records.open(path, {"seconds": 1}).add(Step(0, "W2", "a"), rate=1.0)
    assert not Records.open(path, {"seconds": 2}).found
    assert len(list(tmp_path.iterdir())) == 2  # what was measured before is kept


def test_the_report_lists_wrong_and_missing_measurements(tmp_path):
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
    text = comparison_report.write(Plan(stacks=names, concurrencies=(16,)), records, facts, tmp_path / "out")
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
