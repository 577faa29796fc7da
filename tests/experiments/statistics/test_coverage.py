"""Coverage of every interval that the report shows, at all evaluations, in simulated experiments of six kinds."""

from collections.abc import Callable
from math import log

import numpy as np
import pytest

from marina.experiments.statistics.confidence_sequences import Arm, Bounds, difference, mean

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


def is_inside(arm: Arm, truth: float) -> bool:
    """Return whether no bet refutes the true mean: the interval, which takes twelve times as long, has it then."""
    level = log(2 / ALPHA)
    sample = arm.sample
    if sample is None:
        return False
    below = sample.mirrored.evidence_above(1 - truth)
    return bool(sample.evidence_above(truth) < level and below < level)


def outside(new: Arm, old: Arm, truth: float, *, always: bool) -> Array:
    """Return whether the intervals (3,) of both arms and of their difference miss the truth.

    Unless `always`, an interval is computed only where the evidence at the truth does not tell.
    """
    result = np.zeros(3, dtype=bool)
    for index, arm in enumerate((new, old)):
        if always or not is_inside(arm, truth):
            interval = mean(arm, ALPHA)
            result[index] = not interval.low <= truth <= interval.high
    # Of two arms whose capital at the truth is below the level together, the difference 0 is not refuted.
    if not always and new.sample and old.sample:
        won = new.sample.evidence_above(truth) + old.sample.mirrored.evidence_above(1 - truth)
        lost = old.sample.evidence_above(truth) + new.sample.mirrored.evidence_above(1 - truth)
        if max(won, lost) < log(2 / ALPHA):
            return result
    interval = difference(new, old, ALPHA)
    result[2] = not interval.low <= 0 <= interval.high
    return result


def missed(kind: str, runs: int, *, seed: int, bounds: Bounds | None = BOUNDS, always: bool = False) -> Array:
    """Return the shares of runs (3,) in which an interval ever misses: of treatment, control and difference.

    Both arms have the same rewards, and their true mean is that of 10 million.
    """
    random, draw = np.random.default_rng(seed), KINDS[kind]
    truth = float(draw(random, 10_000_000).mean())
    misses = np.zeros(3)
    for _ in range(runs):
        treated, rewards = random.random(USERS) < SHARE, draw(random, USERS)
        arms = [
            Arm.over_time(name, rewards[chosen], np.cumsum(chosen)[LOOKS - 1].tolist(), bounds)
            for name, chosen in (("new", treated), ("old", ~treated))
        ]
        misses += np.any([outside(*pair, truth, always=always) for pair in zip(*arms, strict=True)], axis=0)
    return misses / runs


@pytest.mark.parametrize("kind", KINDS)
def test_no_interval_misses_more_often_than_it_says(kind):
    assert missed(kind, runs=60, seed=1).max() <= ALPHA


@pytest.mark.parametrize("kind", ["0.5", "log-normal"])
def test_the_evidence_at_the_truth_says_whether_the_interval_has_it(kind):
    assert missed(kind, runs=1, seed=4, always=True).tolist() == missed(kind, runs=1, seed=4).tolist()


def test_asymptotic_intervals_of_heavy_tails_miss_more_often():
    """So the bound above can fail."""
    assert missed("Pareto", runs=60, seed=1, bounds=None)[:2].max() > 2 * ALPHA


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_coverage_over_2000_experiments(kind):
    misses = missed(kind, runs=2_000, seed=2)
    print(f"{kind}: coverage of treatment, control, difference: {np.round(1 - misses, 4).tolist()}")
    assert misses.max() <= 0.06
