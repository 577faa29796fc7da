"""What a handler reports to TorchServe's metrics endpoint; `serving/metrics.yaml` declares the same names there."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from ts.metrics.metric_cache_errors import MetricsCacheKeyError
from ts.metrics.metric_type_enum import MetricTypes

from handlers.replies import Answer

STAGES = ("decode", "forward", "encode", "request")
EVERY_SECONDS = 1.0
SAMPLES = 10  # batches a stage that are reported each time; the rest of a busy second looks like them


class Meter:
    """Seconds a batch spent in each stage, and counts of answers; TorchServe drops what its metrics file lacks.

    Each report is a line that TorchServe reads, matches and parses, which costs more than answering a small request. So
    they are gathered: counts are added up and none is lost; of the seconds, `SAMPLES` are reported each time.
    """

    def __init__(self, cache: Any, name: str, version: str) -> None:
        self._of = [name, version]
        self._histograms = {
            stage: declared(cache, f"marina_{stage}_seconds", "Seconds", [], MetricTypes.HISTOGRAM) for stage in STAGES
        }
        self._answers = declared(cache, "marina_answers_total", "Count", ["Status"], MetricTypes.COUNTER)
        self._refusals = declared(cache, "marina_bad_requests_total", "Count", ["Field"], MetricTypes.COUNTER)
        self._lock = threading.Lock()
        self._forget()
        threading.Thread(target=self._report_forever, daemon=True, name="meter").start()

    def seconds(self, stage: str) -> "Stopwatch":
        """Times the block, whatever becomes of it."""
        return Stopwatch(self, stage)

    def add(self, stage: str, seconds: float) -> None:
        """What one batch spent."""
        with self._lock:
            if len(self._seconds[stage]) < SAMPLES:
                self._seconds[stage].append(seconds)

    def count(self, answers: Iterable[Answer]) -> None:
        """Counts one batch of answers by status, and the refused ones by field."""
        with self._lock:
            for answer in answers:
                self._statuses[answer.status] += 1
                if answer.field:
                    # "features.RM" counts as "features": labels must stay few, whatever callers send.
                    self._fields[answer.field.partition(".")[0]] += 1

    def report(self) -> None:
        """Tell TorchServe what was gathered since the last time."""
        with self._lock:
            seconds, statuses, fields = self._seconds, self._statuses, self._fields
            self._forget()
        for stage, samples in seconds.items():
            for sample in samples:
                self._histograms[stage].add_or_update(round(sample, 6), list(self._of))
        for status, count in statuses.items():
            self._answers.add_or_update(count, [*self._of, str(status)])
        for field, count in fields.items():
            self._refusals.add_or_update(count, [*self._of, field])

    def _forget(self) -> None:
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._statuses: Counter[int] = Counter()
        self._fields: Counter[str] = Counter()

    def _report_forever(self) -> None:
        while True:
            time.sleep(EVERY_SECONDS)
            self.report()


class Stopwatch:
    """What contextlib makes of a generator costs several times as much, and this is four times in each batch."""

    __slots__ = ("_meter", "_stage", "_start")

    def __init__(self, meter: Meter, stage: str) -> None:
        self._meter, self._stage = meter, stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._meter.add(self._stage, time.perf_counter() - self._start)


def declared(cache: Any, name: str, unit: str, labels: list[str], kind: MetricTypes) -> Any:
    """The metric as TorchServe's metrics file declares it; one of the same shape where it does not."""
    try:
        return cache.get_metric(name, kind)
    except MetricsCacheKeyError:
        return cache.add_metric_to_cache(name, unit, ["ModelName", "ModelVersion", *labels], kind)
