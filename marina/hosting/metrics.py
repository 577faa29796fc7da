"""Metrics of a hosted handler, kept in memory: TorchServe writes a log line for each value instead.

`HostedMetrics` is the part of TorchServe's metrics cache (`ts.metrics`, TorchServe 0.12) that handlers use:
`get_metric`, `add_metric_to_cache` and the metric's `add_or_update`. Nothing is declared beforehand, so that a handler
adds each of its metrics itself.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

COUNTER = "counter"

logger = logging.getLogger(__name__)


@dataclass
class Series:
    """The values of one metric for one combination of dimension values."""

    count: int = 0
    total: float = 0.0
    last: float = 0.0


@dataclass(frozen=True)
class Reading:
    """A series with its name, kind (counter, gauge or histogram), unit and dimensions."""

    name: str
    kind: str
    unit: str
    dimensions: dict[str, str]
    series: Series


class HostedMetric:
    """A counter, gauge or histogram. Memory grows with the combinations of dimension values, not with the values."""

    def __init__(self, name: str, kind: str, unit: str, dimension_names: Sequence[str]) -> None:
        self.metric_name = name
        self.kind = kind
        self.unit = unit
        self.dimension_names = list(dimension_names)
        self.series: dict[tuple[str, ...], Series] = {}

    def add_or_update(self, value: float, dimension_values: Sequence[Any] = (), request_id: str = "") -> None:
        """Record a value. As in TorchServe, a wrong number of dimensions, or a counter that decreases, is logged as an
        error and not recorded: a metric never fails a request.
        """
        del request_id
        if len(dimension_values) != len(self.dimension_names):
            logger.error("%s: dimensions %s for names %s", self.metric_name, dimension_values, self.dimension_names)
        elif self.kind == COUNTER and value < 0:
            logger.error("%s: a counter cannot be updated by %s", self.metric_name, value)
        else:
            series = self.series.setdefault(tuple(map(str, dimension_values)), Series())
            series.count += 1
            series.total += value
            series.last = value


class HostedMetrics:
    """All metrics that a handler reports, by kind and name.

    >>> metrics = HostedMetrics()
    >>> metrics.add_metric_to_cache("bad_total", "Count", ["Field"], "counter").add_or_update(2, ["image"])
    >>> [(reading.name, reading.dimensions, reading.series.total) for reading in metrics.read()]
    [('bad_total', {'Field': 'image'}, 2.0)]
    """

    def __init__(self) -> None:
        self._metrics: dict[tuple[str, str], HostedMetric] = {}

    def get_metric(self, metric_name: str, metric_type: Any = COUNTER) -> HostedMetric:
        """Return a metric; raises KeyError if it was not added. `metric_type` is "counter", "gauge", "histogram", or an
        enum member with such a value, as TorchServe's MetricTypes.
        """
        return self._metrics[_kind_of(metric_type), metric_name]

    def add_metric_to_cache(
        self, metric_name: str, unit: str, dimension_names: Sequence[str] = (), metric_type: Any = COUNTER
    ) -> HostedMetric:
        """Add a metric and return it; one of the same kind and name is replaced."""
        kind = _kind_of(metric_type)
        metric = HostedMetric(metric_name, kind, unit, dimension_names)
        self._metrics[kind, metric_name] = metric
        return metric

    def read(self) -> Iterator[Reading]:
        """Yield every series, in the order in which metrics were added."""
        for metric in list(self._metrics.values()):
            for values, series in list(metric.series.items()):
                dimensions = dict(zip(metric.dimension_names, values, strict=True))
                yield Reading(metric.metric_name, metric.kind, metric.unit, dimensions, series)


def _kind_of(metric_type: Any) -> str:
    return str(getattr(metric_type, "value", metric_type)).lower()
