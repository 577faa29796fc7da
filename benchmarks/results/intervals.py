"""Medians with 95 % confidence intervals, and ratios of values of the same round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

SEED, RESAMPLES, CONFIDENCE = 0, 9999, 0.95


@dataclass(frozen=True)
class Interval:
    """A median and the bounds of its 95 % confidence interval; the bounds are equal to it for a single value."""

    median: float
    low: float
    high: float
    count: int

    def text(self, form: str = ",.1f") -> str:
        """Format the interval.

        >>> Interval(12.3, 11.9, 12.8, 5).text()
        '12.3 (11.9 to 12.8)'
        """
        if self.count < 2:
            return f"{self.median:{form}}"
        return f"{self.median:{form}} ({self.low:{form}} to {self.high:{form}})"


def of_median(values: Sequence[float]) -> Interval:
    """Return the interval of the median by the percentile bootstrap; deterministic for the same values."""
    if len(values) < 2:
        return Interval(values[0], values[0], values[0], len(values))
    found = bootstrap(
        (np.asarray(values, dtype=float),),
        np.median,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(float(np.median(values)), float(found.low), float(found.high), len(values))


def of_ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Interval | None:
    """Return the interval of the ratio of rates by round, in which slow phases of the machine cancel out.

    None if no round has both.
    """
    ratios = [ours[number] / theirs[number] for number in sorted(ours.keys() & theirs.keys()) if theirs[number]]
    return of_median(ratios) if ratios else None
