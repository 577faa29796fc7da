"""Thompson sampling: traffic in proportion to the probability of being the best variant, within limits."""

from collections.abc import Sequence
from math import isclose

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from marina.experiments.spec import TOTAL_PERCENT, Bandit
from marina.experiments.statistics.confidence_sequences import Arm, floored_variance, pooled

DRAWS = 10_000  # a probability's standard error is 0.005 at most
PRIOR_UNITS = 30.0  # units at the mean of all: with few rewards, an arm is estimated like the others
ROUNDING = 1e-9  # 100 / 11 * 11 is above 100

Array = NDArray[np.float64]


def weights(arms: Sequence[Arm], bandit: Bandit, random: np.random.Generator) -> dict[str, float]:
    """Return percent by arm, adding up to 100, each from bandit.least to bandit.most.

    Raises ValueError where that is impossible: least above, or most below, an equal share.
    """
    shares = project(TOTAL_PERCENT * best_probabilities(arms, random), bandit.least, bandit.most)
    return {arm.name: float(share) for arm, share in zip(arms, shares, strict=True)}


def best_probabilities(arms: Sequence[Arm], random: np.random.Generator) -> Array:
    """Return the probability of each of K arms to be the best: an array (K,).

    Estimated from draws of the posterior means, Beta if all rewards are 0 or 1, else normal (Thompson 1933; in batches:
    Scott 2010, "A modern Bayesian look at the multi-armed bandit").
    """
    total = pooled(*arms)
    if total.variance == 0:
        return np.full(len(arms), 1 / len(arms))
    size = np.array([arm.n for arm in arms]) + PRIOR_UNITS
    centre = np.array([(arm.n * arm.mean + PRIOR_UNITS * total.mean) / (arm.n + PRIOR_UNITS) for arm in arms])
    if all(map(has_binary_rewards, arms)):
        draws = random.beta(centre * size, (1 - centre) * size, (DRAWS, len(arms)))
    else:
        error = np.sqrt([floored_variance(arm, total) / (arm.n + PRIOR_UNITS) for arm in arms])
        draws = random.normal(centre, error, (DRAWS, len(arms)))
    return np.bincount(draws.argmax(axis=1), minlength=len(arms)) / DRAWS


def has_binary_rewards(arm: Arm) -> bool:
    """Return whether all rewards are 0 or 1: of values in [0, 1], only those have the largest possible variance."""
    return isclose((arm.n - 1) * arm.variance, arm.n * arm.mean * (1 - arm.mean), rel_tol=1e-6)


def project(shares: Array, least: float, most: float) -> Array:
    """Return the nearest point (K,) to `shares` among those from least to most that add up to 100, in steps of 0.01.

    A step is one bucket of the split. All shares are moved by one amount and clipped: the Euclidean projection
    (Wang, Lu, arXiv:1503.01002). Raises ValueError where there is no such point.

    >>> project(np.array([0.0, 0.0, 100.0]), 5, 95).tolist()
    [5.0, 5.0, 90.0]
    """
    count = len(shares)
    if least * count > TOTAL_PERCENT + ROUNDING or most * count < TOTAL_PERCENT - ROUNDING:
        raise ValueError(f"{count} variants, each from {least:g} to {most:g} percent, cannot add up to 100")

    def excess(shift: float) -> float:
        return float(np.clip(shares + shift, least, most).sum() - TOTAL_PERCENT)

    start, end = least - shares.max(), most - shares.min()  # all at least, all at most
    shift = start if excess(start) >= 0 else end if excess(end) <= 0 else float(brentq(excess, start, end))
    result: Array = np.clip(np.round(shares + shift, 2), least, most)
    for index in range(count):  # the remainder of the rounding goes wherever there is room
        result[index] = np.clip(result[index] + TOTAL_PERCENT - result.sum(), least, most)
    return result
