"""Error rates under repeated checks: 1,000 simulated experiments, checked every 100 users up to 5,000."""

from math import inf, isinf

import numpy as np
import pytest

from marina.experiments.report.formatting import Outcome, outcome, verdict
from marina.experiments.statistics.confidence_sequences import (
    MIN_UNITS,
    Arm,
    detectable,
    difference,
    mean,
    pooled,
    radius,
    units_needed,
)
from marina.experiments.statistics.sequential_tests import sample_ratio

RUNS, USERS, STEP = 1_000, 5_000, 100
ALPHA = 0.05


def binary(name: str, n: int, rate: float) -> Arm:
    return Arm(name, n, rate, rate * (1 - rate) * n / max(n - 1, 1))


def decided(share: float, rewards: tuple[float, float], seed: int) -> float:
    """Return the share of runs in which a check finds a difference, for 0/1 rewards at rates (treatment, control)."""
    random = np.random.default_rng(seed)
    result = 0
    for _ in range(RUNS):
        treated = random.random(USERS) < share
        reward = random.random(USERS) < np.where(treated, *rewards)
        sizes, sums = (np.cumsum(value)[STEP - 1 :: STEP] for value in (treated, treated & reward))
        others, other_sums = (np.cumsum(value)[STEP - 1 :: STEP] for value in (~treated, ~treated & reward))
        for n, hits, m, other_hits in zip(*map(np.ndarray.tolist, (sizes, sums, others, other_sums)), strict=True):
            arms = binary("new", n, hits / max(n, 1)), binary("old", m, other_hits / max(m, 1))
            if outcome(*arms, ALPHA) in {Outcome.BETTER, Outcome.WORSE}:
                result += 1
                break
    return result / RUNS


@pytest.mark.parametrize(("share", "rate"), [(0.5, 0.1), (0.1, 0.1), (0.1, 0.01)])
def test_equal_arms_rarely_differ_at_any_check(share, rate):
    assert decided(share, (rate, rate), seed=1) <= ALPHA


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_a_detectable_effect_is_found(share):
    n, m = int(USERS * share), int(USERS * (1 - share))
    rate = 0.1
    for _ in range(20):  # the effect changes the variance, which changes the effect
        rate = 0.1 + detectable(binary("new", n, rate), binary("old", m, 0.1), ALPHA, power=0.8)
    assert 0.1 < rate < 0.2
    assert decided(share, (rate, 0.1), seed=2) >= 0.8


def test_the_mean_stays_in_its_interval():
    random = np.random.default_rng(3)
    missed = 0
    for _ in range(RUNS):
        hits = np.cumsum(random.random(USERS) < 0.1)[STEP - 1 :: STEP]
        intervals = [
            mean(binary("one", n, hit / n), ALPHA) for n, hit in zip(range(STEP, USERS + 1, STEP), hits, strict=True)
        ]
        missed += any(not interval.low <= 0.1 <= interval.high for interval in intervals)
    assert missed / RUNS <= ALPHA


def test_the_radius_is_narrowest_relative_to_a_single_check_where_it_is_tuned():
    error, sizes = 1.0, (100, 300, 1_000, 3_000, 10_000)
    relative = [radius(error, size, ALPHA) for size in sizes]
    assert sizes[int(np.argmin(relative))] == 1_000
    assert min(relative) == pytest.approx(3.03, abs=0.02)  # standard errors; 1.96 for a single check


def test_arms_from_rewards():
    arm = Arm.of("new", [0.0, 1.0, 0.5, 0.5])
    assert (arm.n, arm.mean) == (4, 0.5)
    assert arm.variance == pytest.approx(1 / 6)
    assert Arm.of("none", []) == Arm("none", 0, 0.0, 0.0)
    assert Arm.of("one", [0.7]).variance == 0


def test_pooled_arms_equal_one_arm():
    first, second = np.random.default_rng(4).normal(size=(2, 50))
    whole = pooled(Arm.of("a", first), Arm.of("b", second[:20] + 1))
    both = Arm.of("all", np.concatenate([first, second[:20] + 1]))
    assert (whole.n, whole.mean, whole.variance) == pytest.approx((both.n, both.mean, both.variance))


@pytest.mark.parametrize(
    "arms",
    [
        (binary("new", MIN_UNITS - 1, 0.9), binary("old", 5_000, 0.1)),
        (binary("new", 0, 0.0), binary("old", 0, 0.0)),
        (Arm("new", 500, 1.0, 0.0), Arm("old", 500, 1.0, 0.0)),
    ],
)
def test_without_a_sample_or_variance_there_is_no_interval(arms):
    result = difference(*arms)
    assert isinf(result.low)
    assert isinf(result.high)
    assert units_needed(*arms) == inf
    assert detectable(*arms) == inf


def test_constant_arms_that_differ_have_an_interval():
    result = difference(Arm("new", 500, 1.0, 0.0), Arm("old", 500, 0.0, 0.0))
    assert 0 < result.low < result.estimate == 1 < result.high


def test_units_needed_are_enough_and_no_more():
    new, old = binary("new", 1_000, 0.12), binary("old", 9_000, 0.1)
    more = units_needed(new, old)
    assert 0 < more < inf

    def grown(by: float) -> tuple[Arm, Arm]:
        factor = 1 + by / 10_000
        return binary("new", int(1_000 * factor) + 1, 0.12), binary("old", int(9_000 * factor) + 1, 0.1)

    assert outcome(*grown(more)) is Outcome.BETTER
    assert outcome(*grown(more * 0.98)) is Outcome.UNDECIDED
    assert units_needed(*grown(more * 1.01)) == 0
    assert units_needed(new, old, effect=0.01) > more


def ratio_alarms(true_share: float, seed: int) -> float:
    random = np.random.default_rng(seed)
    intervals = np.cumsum(random.binomial(STEP, true_share, (500, 100)), axis=1)  # every 100 of 10,000 users
    return float(
        np.mean(
            [
                any(
                    sample_ratio({"a": n, "b": total - n}, {"a": 90, "b": 10}) <= ALPHA
                    for total, n in zip(range(STEP, 10_001, STEP), run, strict=True)
                )
                for run in intervals.tolist()
            ]
        )
    )


def test_a_right_split_is_rarely_a_mismatch():
    assert ratio_alarms(0.9, seed=5) <= ALPHA


def test_88_to_12_instead_of_90_to_10_is_found():
    assert ratio_alarms(0.88, seed=6) >= 0.95


def test_sample_ratio_of_many_variants_and_of_none():
    weights = {"a": 50.0, "b": 30.0, "c": 20.0, "off": 0.0}
    assert sample_ratio({"a": 500, "b": 300, "c": 200}, weights) == 1
    assert sample_ratio({"a": 500, "b": 300, "c": 200, "off": 0}, weights) == 1
    assert sample_ratio({"a": 300, "b": 300, "c": 400}, weights) < 1e-6
    assert sample_ratio({"a": 500, "b": 300, "c": 200, "off": 1}, weights) == 0
    assert sample_ratio({}, weights) == 1
    with pytest.raises(ValueError, match="no shares"):
        sample_ratio({"a": 1}, {"a": 0})


@pytest.mark.parametrize(
    ("arms", "expected", "words"),
    [
        ((5_000, 0.15, 5_000, 0.1), Outcome.BETTER, "new is better than old by 0.050 ± 0.021, asymptotic"),
        ((5_000, 0.1, 5_000, 0.15), Outcome.WORSE, "new is worse than old by 0.050 ± 0.021, asymptotic"),
        ((5_000, 0.11, 5_000, 0.1), Outcome.UNDECIDED, "not yet: about 30,000 more users (0.010 ± 0.019, asymptotic)"),
        ((5_000, 0.1, 5_000, 0.1), Outcome.UNDECIDED, "not yet: no difference so far (0.000 ± 0.018, asymptotic)"),
        ((5_000, 1.0, 5_000, 1.0), Outcome.UNDECIDED, "not yet: all rewards are 1"),
        ((12, 0.5, 5_000, 0.1), Outcome.NO_DATA, "no sample: new has 12 users, each variant needs 30"),
    ],
)
def test_verdicts(arms, expected, words):
    n, rate, m, other = arms
    new, old = binary("new", n, rate), binary("old", m, other)
    assert outcome(new, old) == expected
    assert verdict(new, old) == words
    assert verdict(new, old, ratio=0.0004) == (
        f"{words}. Not to be trusted: the users are not split as the weights say (p = 0.0004)"
    )
