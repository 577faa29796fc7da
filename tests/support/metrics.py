"""Stubs of TorchServe's metrics, which record the reported values."""

from collections import Counter

from ts.metrics.metric_cache_errors import MetricsCacheKeyError


class StubMetric:
    """Stub of one of TorchServe's metrics."""

    def __init__(self) -> None:
        self.values: list[tuple[float, tuple[str, ...]]] = []

    def add_or_update(self, value, dimensions):
        self.values.append((value, tuple(dimensions)))


class Cache:
    """Stub of TorchServe's cache of metrics, in which nothing was declared."""

    def __init__(self) -> None:
        self.metrics: dict[str, StubMetric] = {}
        self.declared: dict[str, tuple] = {}

    def get_metric(self, name, kind):
        raise MetricsCacheKeyError(f"{name} {kind}")

    def add_metric_to_cache(self, name, *facts):
        self.declared[name] = facts
        return self.metrics.setdefault(name, StubMetric())

    def counted(self, name: str) -> Counter:
        """Return the sums of a metric by its labels."""
        totals: Counter = Counter()
        for value, dimensions in self.metrics[name].values:
            totals[dimensions] += value
        return totals
