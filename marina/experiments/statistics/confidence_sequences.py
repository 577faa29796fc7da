"""Confidence sequences: intervals of means and their differences that hold at all times together.

So results may be checked at any time and any number of times.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (arXiv:2103.06476, theorem 2.2), its
clock being the information collected: the difference of two means has the covariance of a Brownian motion over its
time at any sizes, so a ramp may change them meanwhile, though not according to the rewards.
"""

from dataclasses import dataclass
from math import e, inf, log, log1p, sqrt
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import lambertw, ndtri

MIN_UNITS = 30  # of an arm: below, means are far from normal
TUNED_UNITS = 1_000.0  # units of information (two arms of 2,000) where the interval is at its narrowest


@dataclass(frozen=True)
class Arm:
    """The rewards of a variant's units. A unit is a user key, its reward the mean of its requests' rewards."""

    name: str
    n: int
    mean: float
    variance: float  # unbiased; 0 for fewer than two units

    @classmethod
    def of(cls, name: str, rewards: ArrayLike) -> Self:
        """Return the arm of rewards (N,); its mean is 0 when there are none."""
        values = np.asarray(rewards, dtype=float)
        n = len(values)
        return cls(name, n, float(values.mean()) if n else 0.0, float(values.var(ddof=1)) if n > 1 else 0.0)


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval: infinite with fewer than MIN_UNITS units in an arm or all rewards equal."""

    estimate: float
    low: float
    high: float

    @property
    def radius(self) -> float:
        """Half the width."""
        return (self.high - self.low) / 2


def mean(arm: Arm, alpha: float = 0.05) -> Interval:
    """Return one arm's mean; the interval holds at all times together with probability 1 - alpha."""
    if arm.n < MIN_UNITS or arm.variance == 0:
        return Interval(arm.mean, -inf, inf)
    return _around(arm.mean, radius(arm.variance / arm.n, arm.n, alpha))


def difference(treatment: Arm, control: Arm, alpha: float = 0.05) -> Interval:
    """Return the treatment's mean minus the control's, with an interval.

    The interval holds at all times together with probability 1 - alpha. With several treatments, divide alpha by their
    number (Bonferroni).
    """
    return _around(treatment.mean - control.mean, radius(*error_and_information(treatment, control), alpha))


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
    """Return half the interval's width for a squared standard error: the boundary of a normal mixture.

    It is infinite without information.

    Its one parameter makes it narrowest at information TUNED_UNITS: there (x + 1) exp(-x) = alpha^2, by Lambert's W.
    """
    if information == 0:
        return inf
    x = float(-lambertw(-(alpha**2) / e, -1).real - 1) * information / TUNED_UNITS
    return sqrt(error * (1 + 1 / x) * (log1p(x) - 2 * log(alpha)))


def pooled(*arms: Arm) -> Arm:
    """Return all units as one arm, exactly."""
    n = sum(arm.n for arm in arms)
    middle = sum(arm.n * arm.mean for arm in arms) / n if n else 0.0
    squares = sum(max(arm.n - 1, 0) * arm.variance + arm.n * (arm.mean - middle) ** 2 for arm in arms)
    return Arm("all", n, middle, squares / (n - 1) if n > 1 else 0.0)


def floored_variance(arm: Arm, total: Arm) -> float:
    """Return the arm's variance, at least that of all units: a small arm may not have had a rare reward yet."""
    return max(arm.variance, total.variance)


def detectable(treatment: Arm, control: Arm, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the least effect that one check at the present sizes finds with this power, or infinity."""
    error, information = error_and_information(treatment, control)
    return radius(error, information, alpha) + float(ndtri(power)) * sqrt(error)


def units_needed(treatment: Arm, control: Arm, effect: float | None = None, alpha: float = 0.05) -> float:
    """Estimate how many more units, of both arms in their present shares, are needed to decide `effect`.

    `effect` defaults to the observed difference. 0 if it is decided already, infinite for no effect or no interval.
    """
    effect = abs(treatment.mean - control.mean if effect is None else effect)
    error, information = error_and_information(treatment, control)
    if information == 0 or effect == 0:
        return inf

    def excess(growth: float) -> float:
        """Return the log of the radius at exp(growth) times the units, over the effect: it falls to -inf."""
        return log(radius(error / np.exp(growth), information * np.exp(growth), alpha) / effect)

    if excess(0) <= 0:
        return 0.0
    # the radius falls nearly as 1 / sqrt(units), so the root is always below this bound
    growth = float(brentq(excess, 0, 4 * excess(0) + 10))
    return float(np.ceil((treatment.n + control.n) * np.expm1(growth)))


def _around(estimate: float, half: float) -> Interval:
    return Interval(estimate, estimate - half, estimate + half)
