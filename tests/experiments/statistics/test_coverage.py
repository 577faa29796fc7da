"""Coverage of every interval that the report shows, at all looks, in simulated experiments of six kinds."""

from collections.abc import Callable

import numpy as np
import pytest

from marina.experiments.statistics.confidence_sequences import Arm, difference, mean

ALPHA = 0.05
BOUNDS = (0.0, 1.0)
USERS, SHARE = 3_000, 0.3  # of an experiment, and the treatment's part of them
LOOKS = np.unique(np.geomspace(2, USERS, 30).astype(int))

Array = np.ndarray


def log_normal(random: np.random.Generator, size: int) -> Array:
    return np.minimum(0.05 * np.exp(random.normal(0, 1.2, size)), 1)


def pareto(random: np.random.Generator, size: int) -> Array:
    return np.minimum(0.01 * (1 + random.pareto(1.2, size)), 1)


def bernoulli(rate: float) -> Callable[[np.random.Generator, int], Array]:
    return lambda random, size: (random.random(size) < rate).astype(float)


KINDS = {
    "0.01": bernoulli(0.01),
    "0.1": bernoulli(0.1),
    "0.5": bernoulli(0.5),
    "0.99": bernoulli(0.99),
    "log-normal": log_normal,
    "Pareto": pareto,
}


def missed(draw: Callable[[np.random.Generator, int], Array], runs: int, seed: int) -> Array:
    """Return the shares of runs (3,) in which an interval ever misses: of treatment, control and difference.

    Both arms have the same rewards, and their true mean is that of 10 million.
    """
    random = np.random.default_rng(seed)
    truth = float(draw(random, 10_000_000).mean())
    misses = np.zeros(3)
    for _ in range(runs):
        treated, rewards = random.random(USERS) < SHARE, draw(random, USERS)
        arms = [
            Arm.over_time(name, rewards[chosen], np.cumsum(chosen)[LOOKS - 1].tolist(), BOUNDS)
            for name, chosen in (("new", treated), ("old", ~treated))
        ]
        outside = np.zeros(3, dtype=bool)
        for new, old in zip(*arms, strict=True):
            intervals = mean(new, ALPHA), mean(old, ALPHA), difference(new, old, ALPHA)
            for index, (interval, value) in enumerate(zip(intervals, (truth, truth, 0.0), strict=True)):
                outside[index] |= not interval.low <= value <= interval.high
        misses += outside
    return misses / runs


@pytest.mark.parametrize("kind", KINDS)
def test_no_interval_misses_more_often_than_it_says(kind):
    """Sixty runs: at a coverage of 80 %, which asymptotic intervals have here, 9 or fewer of 60 miss once in 5 times."""
    assert missed(KINDS[kind], runs=20, seed=1).max() <= 3 / 20


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_coverage_over_2000_experiments(kind):
    misses = missed(KINDS[kind], runs=2_000, seed=2)
    print(f"{kind}: coverage of treatment, control, difference: {np.round(1 - misses, 4).tolist()}")
    assert misses.max() <= 0.06
