"""Metrics that a handler reports to TorchServe; marina/serving/torchserve/metrics.yaml declares the same names."""

import enum
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from handlers.response import Response

try:
    from ts.metrics.metric_type_enum import MetricTypes
except ImportError:  # outside of TorchServe the host of the handler keeps metrics

    class MetricTypes(enum.Enum):  # type: ignore[no-redef]
        """Kinds of metrics, as in TorchServe."""

        COUNTER = "counter"
        GAUGE = "gauge"
        HISTOGRAM = "histogram"


STAGES = ("decode", "forward", "encode", "request")
EVERY_SECONDS = 1.0
SAMPLES = 10  # batches of a stage in each report; enough for the quantiles of a busy second


class HandlerMetrics:
    """Seconds that batches spend in each stage, and counts of responses; TorchServe drops metrics that its file lacks.

    Each value is a line that TorchServe reads, matches and parses, which costs more than a small prediction. Values are
    therefore collected and reported every `EVERY_SECONDS`: counts are summed up, none is lost; of the seconds, SAMPLES
    are reported each time.
    """

    def __init__(self, cache: Any, name: str, version: str) -> None:
        self._model = [name, version]
        self._histograms = {
            stage: declared(cache, f"marina_{stage}_seconds", "Seconds", [], MetricTypes.HISTOGRAM) for stage in STAGES
        }
        self._responses = declared(cache, "marina_answers_total", "Count", ["Status"], MetricTypes.COUNTER)
        self._bad_requests = declared(cache, "marina_bad_requests_total", "Count", ["Field"], MetricTypes.COUNTER)
        self._lock = threading.Lock()
        self._reset()
        threading.Thread(target=self._report_forever, daemon=True, name="metrics").start()

    def seconds(self, stage: str) -> "Stopwatch":
        """Return a context manager that times its block, also if it fails."""
        return Stopwatch(self, stage)

    def add(self, stage: str, seconds: float) -> None:
        """Add the seconds that one batch spent in a stage."""
        with self._lock:
            if len(self._seconds[stage]) < SAMPLES:
                self._seconds[stage].append(seconds)

    def count(self, responses: Iterable[Response]) -> None:
        """Count a batch of responses by status, and bad requests by field."""
        with self._lock:
            for response in responses:
                self._statuses[response.status] += 1
                if response.field:
                    # "features.RM" counts as "features": the number of labels must not depend on requests.
                    self._fields[response.field.partition(".")[0]] += 1

    def report(self) -> None:
        """Report to TorchServe the values since the last report."""
        with self._lock:
            seconds, statuses, fields = self._seconds, self._statuses, self._fields
            self._reset()
        for stage, samples in seconds.items():
            for sample in samples:
                self._histograms[stage].add_or_update(round(sample, 6), list(self._model))
        for status, count in statuses.items():
            self._responses.add_or_update(count, [*self._model, str(status)])
        for field, count in fields.items():
            self._bad_requests.add_or_update(count, [*self._model, field])

    def _reset(self) -> None:
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._statuses: Counter[int] = Counter()
        self._fields: Counter[str] = Counter()

    def _report_forever(self) -> None:
        while True:
            time.sleep(EVERY_SECONDS)
            self.report()


class Stopwatch:
    """Context manager that times a block. One made of a generator by contextlib costs several times as much, and each
    batch needs four.
    """

    __slots__ = ("_metrics", "_stage", "_start")

    def __init__(self, metrics: HandlerMetrics, stage: str) -> None:
        self._metrics, self._stage = metrics, stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._metrics.add(self._stage, time.perf_counter() - self._start)


def declared(cache: Any, name: str, unit: str, labels: list[str], kind: MetricTypes) -> Any:
    """Return the metric as TorchServe's metrics file declares it, or a new one if it does not."""
    try:
        return cache.get_metric(name, kind)
    except KeyError:  # TorchServe's MetricsCacheKeyError is one
        return cache.add_metric_to_cache(name, unit, ["ModelName", "ModelVersion", *labels], kind)
