"""Thompson sampling: traffic in proportion to the probability of being the best, within limits."""

from collections.abc import Sequence
from math import isclose

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from routing.experiments import WHOLE, Bandit
from routing.statistics import Arm, spread, together

DRAWS = 10_000  # a probability's standard error is 0.005 at most
PRIOR = 30.0  # units at the mean of all: with few data of its own, an arm is like the others
ROUNDING = 1e-9  # 100 / 11 * 11 is above 100

Array = NDArray[np.float64]


def weights(arms: Sequence[Arm], bandit: Bandit, random: np.random.Generator) -> dict[str, float]:
    """Percent by arm, adding up to 100, each from bandit.least to bandit.most.

    Raises ValueError when no weights can: least above, or most below, what an equal share is.
    """
    shares = project(WHOLE * chances(arms, random), bandit.least, bandit.most)
    return {arm.name: float(share) for arm, share in zip(arms, shares, strict=True)}


def chances(arms: Sequence[Arm], random: np.random.Generator) -> Array:
    """The probability of each arm (K,) to be the best, from draws of the posterior means (Thompson 1933; in batches:
    Scott 2010, "A modern Bayesian look at the multi-armed bandit"): Beta if all rewards are 0 or 1, else normal."""
    whole = together(*arms)
    if whole.variance == 0:
        return np.full(len(arms), 1 / len(arms))
    size = np.array([arm.n for arm in arms]) + PRIOR
    centre = np.array([(arm.n * arm.mean + PRIOR * whole.mean) / (arm.n + PRIOR) for arm in arms])
    if all(map(binary, arms)):
        draws = random.beta(centre * size, (1 - centre) * size, (DRAWS, len(arms)))
    else:
        error = np.sqrt([spread(arm, whole) / (arm.n + PRIOR) for arm in arms])
        draws = random.normal(centre, error, (DRAWS, len(arms)))
    return np.bincount(draws.argmax(axis=1), minlength=len(arms)) / DRAWS


def binary(arm: Arm) -> bool:
    """All rewards in [0, 1] are 0 or 1 when the variance is as great as the mean allows."""
    return isclose((arm.n - 1) * arm.variance, arm.n * arm.mean * (1 - arm.mean), rel_tol=1e-6) or arm.n == 0


def project(shares: Array, least: float, most: float) -> Array:
    """The nearest point (K,) to `shares` among those from least to most that add up to 100, rounded to 0.01 (a bucket).

    All are moved by one amount and clipped: the Euclidean projection (Wang, Lu, arXiv:1503.01002).
    """
    count = len(shares)
    if least * count > WHOLE + ROUNDING or most * count < WHOLE - ROUNDING:
        raise ValueError(f"{count} variants, each from {least:g} to {most:g} percent, cannot add up to 100")

    def excess(shift: float) -> float:
        return float(np.clip(shares + shift, least, most).sum() - WHOLE)

    start, end = least - shares.max(), most - shares.min()  # all at least, all at most
    shift = start if excess(start) >= 0 else end if excess(end) <= 0 else float(brentq(excess, start, end))
    result: Array = np.clip(np.round(shares + shift, 2), least, most)
    for index in range(count):  # what rounding left over goes wherever there is room
        result[index] = np.clip(result[index] + WHOLE - result.sum(), least, most)
    return result
