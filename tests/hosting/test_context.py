"""Hosting's context against TorchServe's own: the same methods, the same results, the same responses and metrics."""

import inspect
import io
import logging
import struct
from collections import Counter
from pathlib import Path

import pytest
from ts.context import Context, RequestProcessor
from ts.metrics.caching_metric import CachingMetric
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.metrics.metric_type_enum import MetricTypes
from ts.protocol.otf_message_handler import _retrieve_input_data

from handlers import metrics
from marina.handler_lookup import handler_class
from marina.hosting.context import HostingContext, RequestState
from marina.hosting.host import decode_body
from marina.hosting.metrics import HostedMetrics
from tests import tasks
from tests.serve.support.counting_handler import Counting
from tests.support.worker import JSON, METRICS, untrained

HEADERS = {"a": {"x-request-id": "1", "ts_request_sequence_id": "s"}, "b": {}}


def torchserve_cache() -> MetricsCacheYamlImpl:
    cache = MetricsCacheYamlImpl(str(METRICS))
    cache.initialize_cache()
    return cache


def both(folder: Path, config: dict | None = None) -> tuple[Context, HostingContext]:
    theirs = Context("m", str(folder), {"a": 1}, 4, None, "0", metrics=torchserve_cache(), model_yaml_config=config)
    return theirs, HostingContext("m", folder, {"a": 1}, 4, None, "0", model_yaml_config=config)


def begin(context, headers: dict[str, dict[str, str]]) -> None:
    """Start a batch as TorchServe's worker and as a host does."""
    if isinstance(context, HostingContext):
        context.begin_batch(headers)
    else:
        context.request_ids = dict(enumerate(headers))
        context.request_processor = [RequestProcessor(dict(each)) for each in headers.values()]


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_every_attribute_of_torchserves_context_exists(tmp_path):
    theirs, ours = both(tmp_path)
    assert public(theirs) <= public(ours)
    assert public(RequestProcessor({})) <= public(RequestState({}))


@pytest.mark.parametrize(("theirs", "ours"), [(Context, HostingContext), (RequestProcessor, RequestState)])
def test_methods_take_the_same_arguments(theirs, ours):
    for name, method in inspect.getmembers(theirs, inspect.isfunction):
        if not name.startswith("_"):
            expected = [(each.name, each.default) for each in inspect.signature(method).parameters.values()]
            found = inspect.signature(getattr(ours, name)).parameters.values()
            assert [(each.name, each.default) for each in found] == expected, name


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [("set_response_status", 404, "Not Found", 1)],
        [("set_response_status",)],
        [("set_all_response_status", 503, "Busy"), ("set_response_status", 200, "OK", 0)],
        [("set_response_content_type", 0, "image/png"), ("set_response_header", 1, "x-a", "1")],
        [("set_response_header", 0, "content-type", "a/b"), ("set_response_header", 0, "content-type", "c/d")],
    ],
)
def test_the_same_calls_leave_the_same_responses(tmp_path, calls):
    seen = []
    for context in both(tmp_path):
        before = context.get_request_id(0), context.get_request_id()
        context.set_response_status(500, "before any batch")
        begin(context, HEADERS)
        for name, *arguments in calls:
            getattr(context, name)(*arguments)
        rows = [
            (
                context.get_request_id(row),
                context.get_all_request_header(row),
                context.get_request_header(row, "x-request-id"),
                context.get_request_header(row, "X-Request-Id"),
                context.get_sequence_id(row),
                context.get_response_status(row),
                context.get_response_content_type(row),
                context.get_response_headers(row),
                context.request_processor[row].get_response_header("x-a"),
                context.request_processor[row].get_response_status_code(),
            )
            for row in (0, 1)
        ]
        seen.append((before, rows, context.get_request_id(2), context.model_name, context.manifest))
    assert seen[0] == seen[1]


def test_system_properties_are_the_same_but_for_the_servers_name(tmp_path):
    theirs, ours = (context.system_properties for context in both(tmp_path))
    assert {**theirs, "server_name": "Marina"} == ours


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("application/json", b'{"a": [1]}'),
        ("application/json", b"{broken"),
        ("application/json; charset=utf-8", b"{}"),
        ("text/plain; charset=utf-8", "好".encode()),
        ("text/plain", b"\xff"),
        ("image/png", b"\x89PNG"),
        ("", b"x"),
    ],
)
def test_bodies_are_decoded_as_torchserve_decodes_them(kind, value):
    message = b"".join(struct.pack("!i", len(part)) + part for part in (b"body", kind.encode(), value))
    stream = io.BytesIO(message)
    stream.recv = stream.read
    assert decode_body(value, kind) == _retrieve_input_data(stream)["value"]


@pytest.fixture
def emitted(monkeypatch) -> list:
    """(name, unit, type, dimensions, value) of each metric that TorchServe's cache logs."""
    lines = []

    def emit(metric, request_id, value, dimensions):
        lines.append((metric.metric_name, metric.unit, metric.metric_type.value, dimensions, value))

    monkeypatch.setattr(CachingMetric, "emit_metrics", emit)
    return lines


def test_a_handler_gives_the_same_responses_and_metrics_in_both(tmp_path, monkeypatch, emitted):
    monkeypatch.setattr(metrics, "EVERY_SECONDS", 3600)  # the test reports
    folder = untrained("housing_mlp", tmp_path / "housing_mlp")
    good = tasks.find("tabular_regression").GOOD["list"].fields["body"]
    bodies = [good, {"features": "none"}, good]
    headers = {"a": JSON, "b": JSON, "c": {**JSON, "explain": "True"}}
    found = []
    for context in both(folder):
        handler = handler_class("tabular_regression")()
        handler.initialize(context)
        begin(context, headers)
        responses = handler.handle([{"body": body} for body in bodies], context)
        handler.metrics.report()
        rows = range(len(bodies))
        found.append([(responses[i], context.get_response_status(i), context.get_response_headers(i)) for i in rows])
    assert found[0] == found[1]
    assert [status[0] for _, status, _ in found[1]] == [200, 400, 200]
    series = list(context.metrics.read())
    ours = Counter()
    for each in series:
        dimensions = ",".join(f"{name}:{value}" for name, value in each.dimensions.items())
        ours[each.name, each.unit, each.kind, dimensions] += each.series.count
    logged = [line for line in emitted if "ModelName:housing_mlp" in line[3]]  # not of handlers of other tests
    assert ours == Counter(line[:-1] for line in logged)
    totals = {(line[0], line[3]): line[4] for line in logged if line[2] == "counter"}
    for each in series:
        if each.kind == "counter":
            dimensions = ",".join(f"{name}:{value}" for name, value in each.dimensions.items())
            assert each.series.total == totals[each.name, dimensions]


def test_a_stream_has_the_same_parts_in_both(tmp_path):
    card = '{"name": "counting", "version": "1.0", "serving": {"batch_size": 4, "threads": 1}}'
    (tmp_path / "card.json").write_text(card)
    found = []
    for context in both(tmp_path, {"continuousBatching": True}):
        handler = Counting()
        handler.initialize(context)
        parts = []
        for fields in ({"body": {"to": 2, "stream": True}}, {}):
            begin(context, {"a": {**JSON, "host": "here"}})
            (body,) = handler.handle([fields], context)
            parts.append((body, context.get_response_headers(0), context.stopping_criteria[0](body)))
        found.append(parts)
    assert found[0] == found[1]
    assert [last for *_, last in found[1]] == [False, True]


def test_metrics_refuse_what_torchserves_refuse(caplog, emitted):
    caplog.set_level(logging.ERROR)
    ours = HostedMetrics()
    for cache in (torchserve_cache(), ours):
        with pytest.raises(KeyError):
            cache.get_metric("unknown", MetricTypes.COUNTER)
        metric = cache.add_metric_to_cache("mine", "Count", ["Field"], MetricTypes.COUNTER)
        assert cache.get_metric("mine", MetricTypes.COUNTER) is metric
        before = len(caplog.records)
        metric.add_or_update(1, [])
        metric.add_or_update(-1, ["a"])
        assert len(caplog.records) == before + 2
        metric.add_or_update(2, ["a"])
    assert emitted == [("mine", "Count", "counter", "Field:a", 2)]
    (reading,) = ours.read()
    assert (reading.dimensions, reading.series.count, reading.series.total) == ({"Field": "a"}, 1, 2)
