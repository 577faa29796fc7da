"""What a handler reports to TorchServe's metrics endpoint; `serving/metrics.yaml` declares the same names there."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ts.metrics.metric_cache_errors import MetricsCacheKeyError
from ts.metrics.metric_type_enum import MetricTypes

from handlers.replies import Answer

STAGES = ("decode", "forward", "encode", "request")


class Meter:
    """Seconds a batch spent in each stage, and counts of answers; TorchServe drops what its metrics file lacks."""

    def __init__(self, cache: Any, name: str, version: str) -> None:
        self._of = [name, version]
        self._seconds = {
            stage: declared(cache, f"marina_{stage}_seconds", "Seconds", [], MetricTypes.HISTOGRAM) for stage in STAGES
        }
        self._answers = declared(cache, "marina_answers_total", "Count", ["Status"], MetricTypes.COUNTER)
        self._refusals = declared(cache, "marina_bad_requests_total", "Count", ["Field"], MetricTypes.COUNTER)

    @contextmanager
    def seconds(self, stage: str) -> Iterator[None]:
        """Times the block, whatever becomes of it."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage].add_or_update(round(time.perf_counter() - start, 6), list(self._of))

    def count(self, answers: Iterable[Answer]) -> None:
        """Counts one batch of answers by status, and the refused ones by field."""
        answers = list(answers)
        for status, count in Counter(answer.status for answer in answers).items():
            self._answers.add_or_update(count, [*self._of, str(status)])
        # "features.RM" counts as "features": labels must stay few, whatever callers send.
        fields = Counter(answer.field.partition(".")[0] for answer in answers if answer.field)
        for field, count in fields.items():
            self._refusals.add_or_update(count, [*self._of, field])


def declared(cache: Any, name: str, unit: str, labels: list[str], kind: MetricTypes) -> Any:
    """The metric as TorchServe's metrics file declares it; one of the same shape where it does not."""
    try:
        return cache.get_metric(name, kind)
    except MetricsCacheKeyError:
        return cache.add_metric_to_cache(name, unit, ["ModelName", "ModelVersion", *labels], kind)
