"""Confidence sequences: intervals of means and their differences that hold at all times together.

So results may be checked at any time and any number of times. Of rewards with declared bounds the intervals are exact
(marina.experiments.statistics.betting). Of others they are asymptotic: the confidence sequence of Waudby-Smith, Arbour,
Sinha, Kennedy, Ramdas (arXiv:2103.06476, theorem 2.2), its clock being the information collected. The difference of
two means has the covariance of a Brownian motion over its time at any sizes, so a ramp may change them meanwhile,
though not according to the rewards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import e, inf, log, log1p, sqrt
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import lambertw, ndtri

from marina.experiments.statistics import betting
from marina.experiments.statistics.betting import Sample

MIN_UNITS = 30  # of an arm: below, means are far from normal, and no verdict is worth its name
TUNED_UNITS = 1_000.0  # units of information (two arms of 2,000) where an asymptotic interval is at its narrowest

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Arm:
    """The rewards of a variant's units. A unit is a user, its reward the first that it gave.

    `sample` has the rewards with declared `bounds`, on a scale from 0 to 1; it is None for others.
    """

    name: str
    n: int
    mean: float
    variance: float  # unbiased; 0 for fewer than two units
    bounds: Bounds = (0.0, 1.0)
    sample: Sample | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, name: str, rewards: ArrayLike, bounds: Bounds | None = None) -> Self:
        """Return the arm of rewards (N,); its mean is 0 when there are none."""
        (arm,) = cls.over_time(name, rewards, [len(np.asarray(rewards))], bounds)
        return arm

    @classmethod
    def over_time(
        cls, name: str, rewards: ArrayLike, counts: Sequence[int], bounds: Bounds | None = None
    ) -> list[Self]:
        """Return the arm of the first `count` rewards for each of these increasing counts."""
        values = np.asarray(rewards, dtype=float)
        samples: Sequence[Sample | None] = [None] * len(counts)
        if bounds and len(values):
            low, high = bounds
            samples = Sample.over_time((values - low) / (high - low), counts)
        arms = []
        for n, sample in zip(counts, samples, strict=True):
            part = values[:n]
            mean, variance = float(part.mean()) if n else 0.0, float(part.var(ddof=1)) if n > 1 else 0.0
            arms.append(cls(name, n, mean, variance, bounds or (0.0, 1.0), sample if n else None))
        return arms


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    It is infinite without rewards in an arm; an asymptotic one with fewer than MIN_UNITS or all rewards equal, too.
    """

    estimate: float
    low: float
    high: float

    @property
    def radius(self) -> float:
        """The distance of the estimate from the farther end."""
        return max(self.high - self.estimate, self.estimate - self.low)


def mean(arm: Arm, alpha: float = 0.05) -> Interval:
    """Return one arm's mean; the interval holds at all times together with probability 1 - alpha."""
    if arm.sample is not None:
        base, scale = arm.bounds[0], arm.bounds[1] - arm.bounds[0]
        low, high = betting.mean_bounds(arm.sample, alpha)
        return Interval(arm.mean, base + scale * low, base + scale * high)
    if arm.n < MIN_UNITS or arm.variance == 0:
        return Interval(arm.mean, -inf, inf)
    return _around(arm.mean, radius(arm.variance / arm.n, arm.n, alpha))


def difference(treatment: Arm, control: Arm, alpha: float = 0.05, growth: float = 1.0) -> Interval:
    """Return the treatment's mean minus the control's, with an interval.

    The interval holds at all times together with probability 1 - alpha. With several treatments, divide alpha by their
    number (Bonferroni). With `growth`, it is the one of so many times the units.
    """
    estimate = treatment.mean - control.mean
    if treatment.sample is not None and control.sample is not None:
        scale = treatment.bounds[1] - treatment.bounds[0]
        samples = treatment.sample.scaled(growth), control.sample.scaled(growth)
        low, high = betting.difference_bounds(*samples, alpha)
        return Interval(estimate, scale * low, scale * high)
    error, information = error_and_information(treatment, control)
    return _around(estimate, radius(error / growth, information * growth, alpha))


def error_and_information(treatment: Arm, control: Arm) -> tuple[float, float]:
    """Return the difference's squared standard error, and the information in units.

    The information is n m / (n + m) for equal variances; without an interval, infinity and 0 are returned.
    """
    total = pooled(treatment, control)
    if min(treatment.n, control.n) < MIN_UNITS or total.variance == 0:
        return inf, 0.0
    error = sum(floored_variance(arm, total) / arm.n for arm in (treatment, control))
    return error, total.variance / error


def radius(error: float, information: float, alpha: float) -> float:
    """Return half the width of an asymptotic interval for a squared standard error: the boundary of a normal mixture.

    It is infinite without information.

    Its one parameter makes it narrowest at information TUNED_UNITS: there (x + 1) exp(-x) = alpha^2, by Lambert's W.
    """
    if information == 0:
        return inf
    x = float(-lambertw(-(alpha**2) / e, -1).real - 1) * information / TUNED_UNITS
    return sqrt(error * (1 + 1 / x) * (log1p(x) - 2 * log(alpha)))


def pooled(*arms: Arm) -> Arm:
    """Return the figures of all units as one arm, exactly; it has no sample."""
    n = sum(arm.n for arm in arms)
    middle = sum(arm.n * arm.mean for arm in arms) / n if n else 0.0
    squares = sum(max(arm.n - 1, 0) * arm.variance + arm.n * (arm.mean - middle) ** 2 for arm in arms)
    return Arm("all", n, middle, squares / (n - 1) if n > 1 else 0.0)


def floored_variance(arm: Arm, total: Arm) -> float:
    """Return the arm's variance, at least that of all units: a small arm may not have had a rare reward yet."""
    return max(arm.variance, total.variance)


def detectable(treatment: Arm, control: Arm, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the least effect that one check at the present sizes finds with this power, or infinity."""
    error, _ = error_and_information(treatment, control)
    return difference(treatment, control, alpha).radius + float(ndtri(power)) * sqrt(error)


def units_needed(treatment: Arm, control: Arm, effect: float | None = None, alpha: float = 0.05) -> float:
    """Estimate how many more units, of both arms in their present shares, are needed to decide `effect`.

    `effect` defaults to the observed difference. 0 if it is decided already, infinite for no effect or no interval.
    """
    effect = abs(treatment.mean - control.mean if effect is None else effect)
    if error_and_information(treatment, control)[1] == 0 or effect == 0:
        return inf

    def excess(growth: float) -> float:
        """Return the log of the radius at exp(growth) times the units, over the effect: it falls to -inf."""
        return log(difference(treatment, control, alpha, float(np.exp(growth))).radius / effect)

    if (most := excess(0)) <= 0:
        return 0.0
    # the radius falls nearly as 1 / sqrt(units), so the root is always below this bound
    growth = float(brentq(excess, 0, 4 * most + 10))
    return float(np.ceil((treatment.n + control.n) * np.expm1(growth)))


def _around(estimate: float, half: float) -> Interval:
    return Interval(estimate, estimate - half, estimate + half)
