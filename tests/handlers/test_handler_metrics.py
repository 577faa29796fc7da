"""Metrics of a handler: counts are exact, seconds are a sample."""

import threading

import pytest
from ts.metrics.metric_type_enum import MetricTypes

from handlers import metrics
from handlers.errors import BadRequest
from handlers.metrics import SAMPLES, HandlerMetrics
from handlers.response import Response
from tests.support.metrics import Cache, StubMetric


@pytest.fixture
def cache(monkeypatch) -> Cache:
    monkeypatch.setattr(metrics, "EVERY_SECONDS", 3600)  # the test reports itself
    return Cache()


def test_no_response_is_lost_between_two_reports(cache):
    one = HandlerMetrics(cache, "m", "1.0")
    responses = [
        Response(b""),
        Response(b""),
        Response.bad_request(BadRequest("features.RM.x", "no")),
        Response.internal_error("oh"),
    ]

    def work():
        for _ in range(300):
            one.count(responses)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        one.report()
    for thread in threads:
        thread.join()
    one.report()
    expected = {("m", "1.0", "200"): 2400, ("m", "1.0", "400"): 1200, ("m", "1.0", "500"): 1200}
    assert cache.counted("marina_answers_total") == expected
    assert cache.counted("marina_bad_requests_total") == {("m", "1.0", "features"): 1200}


def test_a_busy_stage_is_sampled_and_a_quiet_one_reported_fully(cache):
    one = HandlerMetrics(cache, "m", "1.0")
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


def test_metrics_are_reported_periodically(monkeypatch):
    monkeypatch.setattr(metrics, "EVERY_SECONDS", 0.01)
    cache, reported = Cache(), threading.Event()
    one = HandlerMetrics(cache, "m", "1.0")
    monkeypatch.setattr(cache.metrics["marina_answers_total"], "add_or_update", lambda *_: reported.set())
    one.count([Response(b"")])
    assert reported.wait(30)


def test_metrics_are_declared_as_torchserves_file_declares_them(cache):
    HandlerMetrics(cache, "m", "1.0")
    model = ["ModelName", "ModelVersion"]
    assert cache.declared == {
        **{f"marina_{stage}_seconds": ("Seconds", model, MetricTypes.HISTOGRAM) for stage in metrics.STAGES},
        "marina_answers_total": ("Count", [*model, "Status"], MetricTypes.COUNTER),
        "marina_bad_requests_total": ("Count", [*model, "Field"], MetricTypes.COUNTER),
    }


def test_a_metric_that_is_declared_already_is_used_as_it_is(monkeypatch):
    cache, found = Cache(), {}

    def get_metric(name, kind):
        return found.setdefault((name, kind), StubMetric())

    monkeypatch.setattr(cache, "get_metric", get_metric)
    monkeypatch.setattr(metrics, "EVERY_SECONDS", 3600)
    one = HandlerMetrics(cache, "m", "1.0")
    one.count([Response(b"")])
    one.report()
    assert cache.declared == {}
    assert found["marina_answers_total", MetricTypes.COUNTER].values == [(1, ("m", "1.0", "200"))]
    assert ("marina_forward_seconds", MetricTypes.HISTOGRAM) in found


def test_seconds_are_those_between_begin_and_end_to_the_microsecond(cache, monkeypatch):
    clock = iter([10.0, 12.12345678])
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: next(clock))
    one = HandlerMetrics(cache, "m", "1.0")
    with one.seconds("forward"):
        pass
    one.report()
    assert cache.metrics["marina_forward_seconds"].values == [(2.123457, ("m", "1.0"))]


def test_the_reporting_thread_is_a_daemon(cache):
    before = set(threading.enumerate())
    HandlerMetrics(cache, "m", "1.0")
    (thread,) = set(threading.enumerate()) - before
    assert (thread.daemon, thread.name) == (True, "metrics")
