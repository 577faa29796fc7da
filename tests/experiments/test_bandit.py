"""Thompson sampling: limits kept in random cases, and less regret than a uniform split."""

from math import fsum

import numpy as np
import pytest

from marina.experiments.bandit import best_probabilities, has_binary_rewards, project, weights
from marina.experiments.spec import Bandit
from marina.experiments.split import BUCKETS, bucket_counts
from marina.experiments.statistics.confidence_sequences import Arm

LIMITS = Bandit(least=5, most=95)


def test_weights_are_within_the_limits_and_add_up_to_100():
    random = np.random.default_rng(1)
    for _ in range(5_000):
        count = int(random.integers(2, 12))
        least = float(random.uniform(0, 100 / count)) if random.random() < 0.9 else 100 / count
        most = float(random.uniform(100 / count, 100))
        result = project(100 * random.dirichlet(np.full(count, 0.3)), least, most)
        assert fsum(result) == pytest.approx(100, abs=1e-9)
        assert result.min() >= least
        assert result.max() <= most
        assert sum(bucket_counts(dict(enumerate(result.tolist()))).values()) == BUCKETS


def test_the_projection_is_the_nearest_point():
    random = np.random.default_rng(2)
    for _ in range(200):
        shares = 100 * random.dirichlet(np.ones(4))
        result = project(shares, 10, 60)
        others = 10 + 60 * random.dirichlet(np.ones(4), 200)
        others = others[others.max(axis=1) <= 60]
        assert np.all(np.linalg.norm(others - shares, axis=1) >= np.linalg.norm(result - shares) - 0.05)  # rounded


def test_shares_within_the_limits_are_unchanged():
    assert project(np.array([20.0, 30.0, 50.0]), 5, 95).tolist() == [20, 30, 50]
    assert project(np.array([0.0, 0.0, 100.0]), 5, 95).tolist() == [5, 5, 90]
    assert project(np.array([0.0, 100.0]), 50, 95).tolist() == [50, 50]


@pytest.mark.parametrize(("least", "most"), [(34, 95), (1, 33)])
def test_impossible_limits_are_refused(least, most):
    arms = [Arm.of(name, [0.0, 1.0]) for name in "abc"]
    with pytest.raises(ValueError, match="cannot add up to 100"):
        weights(arms, Bandit(least=least, most=most), np.random.default_rng(3))


@pytest.mark.parametrize(
    "arms",
    [
        [Arm("a", 0, 0.0, 0.0), Arm("b", 0, 0.0, 0.0), Arm("c", 0, 0.0, 0.0)],
        [Arm("a", 100, 1.0, 0.0), Arm("b", 9, 1.0, 0.0), Arm("c", 0, 0.0, 0.0)],
        [Arm.of("a", [0.1, 0.9]), Arm.of("b", [0.6]), Arm.of("c", [0.3, 0.8])],
        [Arm.of("a", [0, 1]), Arm.of("b", [1]), Arm.of("c", [0, 0])],
    ],
)
def test_little_data_leaves_the_weights_near_uniform(arms):
    result = weights(arms, LIMITS, np.random.default_rng(4))
    assert list(result) == ["a", "b", "c"]
    assert all(20 <= weight <= 45 for weight in result.values())


@pytest.mark.parametrize("scale", [1.0, 0.5])  # 0/1 rewards, and others
def test_the_best_gets_most_and_the_others_the_least(scale):
    random = np.random.default_rng(5)
    arms = [
        Arm.of(name, scale * (random.random(2_000) < rate)) for name, rate in zip("abc", (0.1, 0.2, 0.1), strict=True)
    ]
    assert weights(arms, LIMITS, random) == {"a": 5, "b": 90, "c": 5}


def test_beta_and_normal_posteriors_agree_on_many_data():
    random = np.random.default_rng(6)
    rates = (0.10, 0.11, 0.105)
    sizes = (1_500, 2_000, 2_500)
    exact = [Arm(name, n, p, p * (1 - p) * n / (n - 1)) for name, n, p in zip("abc", sizes, rates, strict=True)]
    loose = [Arm(arm.name, arm.n, arm.mean, arm.variance * 1.001) for arm in exact]  # no longer 0/1
    assert best_probabilities(exact, random) == pytest.approx(best_probabilities(loose, random), abs=0.03)


@pytest.mark.parametrize(
    ("rewards", "binary"),
    [([], True), ([1], True), ([0, 1, 1, 0, 1], True), ([0, 0.5, 1], False), ([0.2, 0.9, 0.4, 0.4], False)],
)
def test_rewards_are_binary_only_if_all_are_0_or_1(rewards, binary):
    assert has_binary_rewards(Arm.of("a", rewards)) is binary


def test_rounding_of_sums_leaves_rewards_binary():
    assert has_binary_rewards(Arm("a", 3, 1 / 3, 1 / 3 * (1 + 1e-8)))


def test_arms_without_variance_are_equally_likely_to_be_the_best():
    arms = [Arm("a", 5, 1.0, 0.0), Arm("b", 5, 1.0, 0.0), Arm("c", 0, 0.0, 0.0), Arm("d", 2, 1.0, 0.0)]
    assert best_probabilities(arms, np.random.default_rng(8)).tolist() == [0.25] * 4


def test_a_share_of_half_a_bucket_is_rounded():
    assert project(np.array([20.004, 30.006, 49.99]), 5, 95).tolist() == pytest.approx([20, 30.01, 49.99])


def test_thompson_has_less_regret_than_a_uniform_split():
    random = np.random.default_rng(7)
    rates, users, batches, runs = np.array([0.10, 0.13, 0.08]), 300, 30, 30
    regret, shares = [], []
    for _ in range(runs):
        n, hits, lost = np.zeros(3), np.zeros(3), 0.0
        for _ in range(batches):
            arms = [
                Arm(str(index), int(size), hit / max(size, 1), hit * (1 - hit / max(size, 1)) / max(size - 1, 1))
                for index, (size, hit) in enumerate(zip(n, hits, strict=True))
            ]
            share = np.array(list(weights(arms, LIMITS, random).values())) / 100
            assigned = random.multinomial(users, share / share.sum())
            n, hits = n + assigned, hits + random.binomial(assigned, rates)
            lost += float(assigned @ (rates.max() - rates))
        regret.append(lost)
        shares.append(share[1])
    uniform = users * batches * float(np.mean(rates.max() - rates))
    assert np.mean(regret) < 0.5 * uniform
    assert np.mean(shares) > 0.8
