"""Medians with 95 % intervals, and ratios of what was measured in the same round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

SEED, RESAMPLES, CONFIDENCE = 0, 9999, 0.95


@dataclass(frozen=True)
class Interval:
    """A median, and where it lies with 95 % confidence; without the bounds where there is one value only."""

    median: float
    low: float
    high: float
    count: int

    def text(self, form: str = ",.1f") -> str:
        """Such as "12.3 (11.9 to 12.8)"."""
        if self.count < 2:
            return f"{self.median:{form}}"
        return f"{self.median:{form}} ({self.low:{form}} to {self.high:{form}})"


def of_median(values: Sequence[float]) -> Interval:
    """By the percentile bootstrap; the same values always give the same interval."""
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
    """Of rates by round: each round gives one ratio, so that what slowed both down cancels. None without a pair."""
    ratios = [ours[number] / theirs[number] for number in sorted(ours.keys() & theirs.keys()) if theirs[number]]
    return of_median(ratios) if ratios else None
