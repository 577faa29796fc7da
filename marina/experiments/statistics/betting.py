"""Betting: exact intervals of means of bounded rewards, at all times together and for samples of any size.

Against the hypothesis "the mean is m" one bets on each reward. A bet multiplies the capital by 1 - c + c x / m, where
0 < c < 1 is the stake, and x the reward on a scale from 0 to 1: the capital of a fair game. That it ever reaches
1 / alpha has probability alpha at most, so all m for which it has not are a confidence sequence (Waudby-Smith and
Ramdas, arXiv:2010.09686). Capital divided among fixed stakes depends on the rewards, not on their order: rewards that
arrive late need no place among the others, and a histogram is all that has to be kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

Array = NDArray[np.float64]

STAKES = 1 - np.exp(-np.geomspace(5e-4, 5, 14))  # each about twice the one before, up to nearly all
RESERVE = 0.02  # of the capital is never bet: what one side of a comparison loses then cannot cancel the other
BINS = 64  # of equal width, and as many of equal numbers of rewards
EXACT_VALUES = 2 * BINS  # up to so many different rewards each has a bin of its own
NEAR, FAR = 120, 24  # points at which evidence is tabulated: within about a radius of the mean, and beyond
TOLERANCE = 1e-7


@dataclass(frozen=True)
class Sample:
    """A histogram of rewards on a scale from 0 to 1: `weights` of them at the `points`, which are sorted.

    A reward between two points is divided between them. The logarithm is concave, so that understates the capital.
    """

    points: Array
    weights: Array

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """Return the histogram of values (N,) from 0 to 1."""
        (result,) = cls.over_time(values, [len(np.asarray(values))])
        return result

    @classmethod
    def over_time(cls, values: ArrayLike, counts: Sequence[int]) -> list[Self]:
        """Return the histogram of the first `count` values for each of these increasing counts."""
        array = np.asarray(values, dtype=float)
        points = grid(array)
        left = np.clip(np.searchsorted(points, array, side="right") - 1, 0, len(points) - 2)
        share = (array - points[left]) / np.diff(points)[left]
        part = np.searchsorted(counts, np.arange(len(array)), side="right")  # the first count that includes the value
        size = (len(counts) + 1) * len(points)
        weights = np.bincount(part * len(points) + left, 1 - share, size)
        weights += np.bincount(part * len(points) + left + 1, share, size)
        totals = weights.reshape(-1, len(points))[: len(counts)].cumsum(axis=0)
        return [cls(points, row) for row in totals]

    @property
    def size(self) -> float:
        """The number of rewards."""
        return float(self.weights.sum())

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(self.points @ self.weights / self.size)

    @cached_property
    def mirrored(self) -> "Sample":
        """The histogram of one minus each reward."""
        return Sample(1 - self.points[::-1], self.weights[::-1])

    def scaled(self, factor: float) -> "Sample":
        """Return the histogram of `factor` times as many rewards of the same distribution."""
        return Sample(self.points, factor * self.weights)

    def evidence_above(self, means: ArrayLike) -> Array:
        """Return the log capital (M,) of bets that the mean is above each of M means; it falls with them."""
        found = self.weights > 0
        m = np.maximum(np.asarray(means, dtype=float), np.finfo(float).tiny)
        ratios = self.points[found] / m[..., None]
        # [..., stake]: the sum over all rewards of the log of what a bet returns
        returns = np.log1p(STAKES[:, None] * (ratios[..., None, :] - 1)) @ self.weights[found]
        return np.logaddexp(log(RESERVE), log((1 - RESERVE) / len(STAKES)) + np.logaddexp.reduce(returns, axis=-1))

    def lower(self, level: float) -> float:
        """Return the lower bound of the mean at this log capital: below it, the evidence is greater."""
        return _root(lambda mean: float(self.evidence_above(mean)) - level, 0.0, self.mean)

    def upper(self, level: float) -> float:
        """Return the upper bound of the mean at this log capital."""
        return 1 - self.mirrored.lower(level)

    @cached_property
    def table(self) -> tuple[Array, Array]:
        """Means (M,) from 0 to 1, densest around this one's, and the evidence (M,) that the mean is above each."""
        centre = self.mean
        radius = max(centre - self.lower(log(40)), 1e-6)  # log(40): 95 % on two sides
        near = centre + radius * np.linspace(-1.5, 0.5, NEAR)
        far = centre + radius * np.geomspace(0.5, max(1 / radius, 1), FAR)
        means = np.concatenate([near, far, [0.0, 1.0]])
        means = np.unique(np.clip(means, 0.0, 1.0))
        return means, self.evidence_above(means)


def grid(values: Array) -> Array:
    """Return the points of a histogram of these values, 0 and 1 among them: the values themselves if they are few."""
    head = np.unique(values[: 16 * EXACT_VALUES])
    if len(head) <= EXACT_VALUES and len(different := np.unique(values)) <= EXACT_VALUES:
        return np.union1d(different, [0.0, 1.0])
    equal_counts = np.quantile(values, np.linspace(0, 1, BINS + 1), method="inverted_cdf")
    return np.union1d(np.linspace(0, 1, BINS + 1), equal_counts)


def mean_bounds(sample: Sample, alpha: float) -> tuple[float, float]:
    """Return lower and upper bound of the mean, which hold at all times together with probability 1 - alpha."""
    level = log(2 / alpha)
    return sample.lower(level), sample.upper(level)


def difference_bounds(sample: Sample, other: Sample, alpha: float) -> tuple[float, float]:
    """Return bounds of the mean minus the other's, which hold at all times together with probability 1 - alpha."""
    level = log(2 / alpha)
    return _least_difference(sample, other, level), -_least_difference(other, sample, level)


def _least_difference(sample: Sample, other: Sample, level: float) -> float:
    """Return the least difference of means that no bets on both samples together refute.

    Against "the other's mean is m, this one's is m + d", capital that was won on both is multiplied. The least product
    over all m refutes d. Between two points of the tables it is bounded by monotony.
    """
    means, above = sample.table
    mirrored, below = other.mirrored.table
    means_of_other, below = 1 - mirrored[::-1], below[::-1]  # rises
    # a mean from means[i] to means[i + 1], and the greatest of the other's that is then not refuted
    index = np.searchsorted(below, level - above[1:], side="left")
    possible = index > 0
    greatest = means_of_other[np.minimum(index, len(means_of_other) - 1)]
    return float(np.min((means[:-1] - greatest)[possible]))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return a point at or below the root of a falling function; `low` if it has none."""
    if function(low) <= 0:
        return low
    if function(high) >= 0:
        return high
    return max(float(brentq(function, low, high, xtol=TOLERANCE)) - TOLERANCE, low)
