"""Stand-ins for TorchServe's metrics, which remember what was reported."""

from collections import Counter

from ts.metrics.metric_cache_errors import MetricsCacheKeyError


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
        self.declared: dict[str, tuple] = {}

    def get_metric(self, name, kind):
        raise MetricsCacheKeyError(f"{name} {kind}")

    def add_metric_to_cache(self, name, *facts):
        self.declared[name] = facts
        return self.metrics.setdefault(name, Told())

    def counted(self, name: str) -> Counter:
        """The sums of a metric by its labels."""
        totals: Counter = Counter()
        for value, dimensions in self.metrics[name].values:
            totals[dimensions] += value
        return totals
