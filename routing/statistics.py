"""How much better one arm is than another, with intervals that hold at every look, however often one looks.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (arXiv:2103.06476, theorem 2.2), its
clock being the information collected: the difference of two means has the covariance of a Brownian motion over its
time at any sizes, so a ramp may change them on the way, though not according to the rewards.
"""

from dataclasses import dataclass
from math import e, inf, log, log1p, sqrt
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import lambertw, ndtri

LEAST = 30  # units an arm needs: below, means are far from normal
TUNED = 1_000.0  # units of information (two arms of 2,000) where the interval is at its narrowest


@dataclass(frozen=True)
class Arm:
    """The rewards of a variant's units. A unit is a user key, its reward the mean of its requests' rewards."""

    name: str
    n: int
    mean: float
    variance: float  # unbiased; 0 for fewer than two units

    @classmethod
    def of(cls, name: str, rewards: ArrayLike) -> Self:
        """From rewards (N,); mean 0 when there are none."""
        values = np.asarray(rewards, dtype=float)
        n = len(values)
        return cls(name, n, float(values.mean()) if n else 0.0, float(values.var(ddof=1)) if n > 1 else 0.0)


@dataclass(frozen=True)
class Interval:
    """Infinite on both sides while nothing can be said: fewer than LEAST units in an arm, or all rewards alike."""

    estimate: float
    low: float
    high: float

    @property
    def radius(self) -> float:
        return (self.high - self.low) / 2


def mean(arm: Arm, alpha: float = 0.05) -> Interval:
    """One arm's mean; the interval holds at all looks together with probability 1 - alpha."""
    if arm.n < LEAST or arm.variance == 0:
        return Interval(arm.mean, -inf, inf)
    return _around(arm.mean, radius(arm.variance / arm.n, arm.n, alpha))


def difference(treatment: Arm, control: Arm, alpha: float = 0.05) -> Interval:
    """Treatment's mean minus control's; the interval holds at all looks together with probability 1 - alpha.

    With several treatments, divide alpha by their number (Bonferroni).
    """
    return _around(treatment.mean - control.mean, radius(*progress(treatment, control), alpha))


def progress(treatment: Arm, control: Arm) -> tuple[float, float]:
    """The difference's squared standard error, and the information in units: n m / (n + m) for equal variances."""
    whole = together(treatment, control)
    if min(treatment.n, control.n) < LEAST or whole.variance == 0:
        return inf, 0.0
    error = sum(spread(arm, whole) / arm.n for arm in (treatment, control))
    return error, whole.variance / error


def radius(error: float, information: float, alpha: float) -> float:
    """Half the width, for a squared standard error: the boundary of a normal mixture; infinite without information.

    Its one parameter makes it narrowest at information TUNED: there (x + 1) exp(-x) = alpha^2, by Lambert's W.
    """
    if information == 0:
        return inf
    x = float(-lambertw(-(alpha**2) / e, -1).real - 1) * information / TUNED
    return sqrt(error * (1 + 1 / x) * (log1p(x) - 2 * log(alpha)))


def together(*arms: Arm) -> Arm:
    """All units as one arm: exact."""
    n = sum(arm.n for arm in arms)
    middle = sum(arm.n * arm.mean for arm in arms) / n if n else 0.0
    squares = sum(max(arm.n - 1, 0) * arm.variance + arm.n * (arm.mean - middle) ** 2 for arm in arms)
    return Arm("all", n, middle, squares / (n - 1) if n > 1 else 0.0)


def spread(arm: Arm, whole: Arm) -> float:
    """The arm's variance, but not below that of all units: a rare reward may be absent from a small arm yet."""
    return max(arm.variance, whole.variance)


def detectable(treatment: Arm, control: Arm, alpha: float = 0.05, power: float = 0.8) -> float:
    """The effect that a look at the present sizes decides with this power; infinite where nothing can be said."""
    error, information = progress(treatment, control)
    return radius(error, information, alpha) + float(ndtri(power)) * sqrt(error)


def units_needed(treatment: Arm, control: Arm, effect: float | None = None, alpha: float = 0.05) -> float:
    """About how many more units, of both arms in their present shares, until `effect` (or else the difference
    observed) would be decided: 0 when it is already, infinite for no effect or where nothing can be said."""
    effect = abs(treatment.mean - control.mean if effect is None else effect)
    error, information = progress(treatment, control)
    if information == 0 or effect == 0:
        return inf

    def excess(growth: float) -> float:
        """Log of the radius at exp(growth) times the units, over the effect: falls to -inf."""
        return log(radius(error / np.exp(growth), information * np.exp(growth), alpha) / effect)

    if excess(0) <= 0:
        return 0.0
    # the radius falls nearly as 1 / sqrt(units): this far is always enough
    growth = float(brentq(excess, 0, 4 * excess(0) + 10))
    return float(np.ceil((treatment.n + control.n) * np.expm1(growth)))


def _around(estimate: float, half: float) -> Interval:
    return Interval(estimate, estimate - half, estimate + half)
