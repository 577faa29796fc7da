"""Counts are exact however they are gathered; seconds are a sample."""

import threading
from collections import Counter

import pytest
from ts.metrics.metric_cache_errors import MetricsCacheKeyError

from handlers import meter
from handlers.errors import BadRequest
from handlers.meter import SAMPLES, Meter
from handlers.replies import Answer


class Told:
    """Stands for one of TorchServe's metrics."""

    def __init__(self) -> None:
        self.values: list[tuple[float, tuple[str, ...]]] = []

    def add_or_update(self, value, dimensions):
        self.values.append((value, tuple(dimensions)))


class Cache:
    """Stands for TorchServe's cache of metrics, in which nothing was declared."""

    def __init__(self) -> None:
        self.metrics: dict[str, Told] = {}

    def get_metric(self, name, kind):
        raise MetricsCacheKeyError(f"{name} {kind}")

    def add_metric_to_cache(self, name, *_):
        return self.metrics.setdefault(name, Told())


@pytest.fixture
def cache(monkeypatch) -> Cache:
    monkeypatch.setattr(meter, "EVERY_SECONDS", 3600)  # the test says when
    return Cache()


def counted(cache: Cache, name: str) -> Counter:
    totals: Counter = Counter()
    for value, dimensions in cache.metrics[name].values:
        totals[dimensions] += value
    return totals


def test_no_answer_is_lost_between_two_reports(cache):
    one = Meter(cache, "m", "1.0")
    answers = [Answer(b""), Answer(b""), Answer.refusal(BadRequest("features.RM", "no")), Answer.failure("oh")]

    def work():
        for _ in range(300):
            one.count(answers)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        one.report()
    for thread in threads:
        thread.join()
    one.report()
    expected = {("m", "1.0", "200"): 2400, ("m", "1.0", "400"): 1200, ("m", "1.0", "500"): 1200}
    assert counted(cache, "marina_answers_total") == expected
    assert counted(cache, "marina_bad_requests_total") == {("m", "1.0", "features"): 1200}


def test_a_busy_stage_is_sampled_and_a_quiet_one_told_whole(cache):
    one = Meter(cache, "m", "1.0")
    for _ in range(3 * SAMPLES):
        with one.seconds("forward"):
            pass
    with pytest.raises(KeyError), one.seconds("decode"):
        raise KeyError  # what fails took its time, too
    one.report()
    one.report()
    assert len(cache.metrics["marina_forward_seconds"].values) == SAMPLES
    ((seconds, dimensions),) = cache.metrics["marina_decode_seconds"].values
    assert seconds >= 0
    assert dimensions == ("m", "1.0")


def test_it_reports_by_itself(monkeypatch):
    monkeypatch.setattr(meter, "EVERY_SECONDS", 0.01)
    cache, told = Cache(), threading.Event()
    one = Meter(cache, "m", "1.0")
    monkeypatch.setattr(cache.metrics["marina_answers_total"], "add_or_update", lambda *_: told.set())
    one.count([Answer(b"")])
    assert told.wait(30)
