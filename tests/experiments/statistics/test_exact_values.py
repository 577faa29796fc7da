"""Statistics: exact values, each computed here in another way, or by hand."""

import re
from math import log

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, betabinom, binom, norm

from marina.experiments.bandit import best_probabilities, has_binary_rewards, project, weights
from marina.experiments.report.formatting import Outcome, outcome, verdict
from marina.experiments.spec import Bandit
from marina.experiments.statistics.confidence_sequences import (
    Arm,
    Interval,
    detectable,
    difference,
    error_and_information,
    floored_variance,
    mean,
    radius,
    units_needed,
)
from marina.experiments.statistics.sequential_tests import (
    hedge,
    quantile_slower,
    rate_above,
    rate_below,
    rate_higher,
    sample_ratio,
)


@pytest.mark.parametrize(("hits", "trials", "rate"), [(0, 5, 0.3), (5, 5, 0.3), (40, 200, 0.1), (3, 100, 0.01)])
def test_rate_above_is_the_mean_likelihood_ratio_of_the_rates_above(hits, trials, rate):
    prior = beta(4 * rate, 4 * (1 - rate))

    def ratio(p: float) -> float:
        return prior.pdf(p) * (p / rate) ** hits * ((1 - p) / (1 - rate)) ** (trials - hits)

    expected = log(quad(ratio, rate, 1, limit=200)[0] / prior.sf(rate))
    assert float(rate_above(hits, trials, rate, 4.0)) == pytest.approx(expected, abs=1e-4)
    assert float(rate_below(trials - hits, trials, 1 - rate, 4.0)) == pytest.approx(expected, abs=1e-4)


def test_evidence_of_an_array_is_that_of_each_element():
    result = rate_above([0, 3, 9], [0, 10, 15], 0.3, 100.0)
    assert result.shape == (3,)
    assert result[0] == pytest.approx(0)
    assert result[2] == pytest.approx(float(rate_above(9, 15, 0.3, 100.0)))


def test_rate_higher_is_a_mixture_over_the_likeliest_common_rate():
    x, n, y, m = 12, 100, 3, 900
    bad, usual = betabinom.logpmf(x, n, 2, 30), betabinom.logpmf(y, m, 0.1, 10)
    common = 15 / 1000
    null = binom.logpmf(x, n, common) + binom.logpmf(y, m, common)
    assert float(rate_higher(x, n, y, m)) == pytest.approx(bad + usual - null)
    assert float(rate_higher(3, 900, 12, 100)) == 0
    assert float(rate_higher(0, 0, 0, 0)) == 0
    assert rate_higher([12, 0], [100, 100], [3, 3], [900, 900]).tolist() == [pytest.approx(bad + usual - null), 0]


def test_a_tenth_of_the_capital_is_reserved():
    result = hedge(np.array([-np.inf, 0.0, 5.0]))
    assert result[0] == pytest.approx(log(0.1))
    assert result[1] == pytest.approx(0)
    assert result[2] == pytest.approx(log(0.1 + 0.9 * np.exp(5)))


def test_quantile_slower_falls_with_the_factor_and_needs_data():
    values, others = 0.03 + 0.01 * np.linspace(0, 1, 60), 0.02 + 0.01 * np.linspace(0, 1, 300)
    assert quantile_slower(values, others, 1.1, 0.5) == pytest.approx(
        quantile_slower(values[::-1], others[::-1], 1.1, 0.5)
    )
    assert (
        quantile_slower(values, others, 1.1, 0.5)
        > quantile_slower(values, others, 1.2, 0.5)
        > quantile_slower(values, others, 1.5, 0.5)
    )
    assert quantile_slower(np.array([]), others, 1.1, 0.5) == quantile_slower(values, np.array([]), 1.1, 0.5) == 0
    assert quantile_slower(values, others, 9.0, 0.5) < 0


@pytest.mark.parametrize(("quantile", "expected"), [(0.5, 33.608794), (0.9, 14.653092), (0.99, -0.540045)])
def test_quantile_slower_is_the_least_product_over_the_pieces_of_the_grid(quantile, expected):
    """Within a piece the evidence is least: of the values at its right end, of the others at its left end."""
    values, others = 0.03 + 0.01 * np.linspace(0, 1, 60), 0.02 + 0.01 * np.linspace(0, 1, 300)
    steps = 300 * quantile + np.linspace(-10, 10, 201) * np.sqrt(300 * quantile * (1 - quantile))
    grid = [others[rank] for rank in sorted({int(min(max(round(step), 0), 299)) for step in steps})]
    share = 1 - quantile
    products = []
    for left, right in zip([-np.inf, *grid], [*grid, np.inf], strict=True):
        high = rate_above(np.sum(values > 1.1 * right), 60, share, 4.0)
        low = rate_below(np.sum(others >= left), 300, share, 100.0)
        products.append(float(hedge(high) + hedge(low)))
    assert quantile_slower(values, others, 1.1, quantile) == pytest.approx(min(products))
    assert min(products) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("arm", "is_binary"),
    [
        (Arm.of("a", [0, 1, 1]), True),
        (Arm.of("a", [1.0]), True),
        (Arm("a", 0, 0.0, 0.0), True),
        (Arm.of("a", [0, 0.5, 1]), False),
        (Arm.of("a", [0.5]), False),
    ],
)
def test_binary_rewards_are_recognised_by_their_variance(arm, is_binary):
    assert has_binary_rewards(arm) is is_binary


def test_probabilities_match_the_closed_form():
    """For two arms, the normal posteriors give the probability in closed form."""
    arms = [Arm("a", 100, 5.0, 4.0), Arm("b", 400, 5.5, 4.0)]
    result = best_probabilities(arms, np.random.default_rng(1))
    assert result.sum() == 1
    whole = (100 * 5 + 400 * 5.5) / 500
    centre = [(100 * 5 + 30 * whole) / 130, (400 * 5.5 + 30 * whole) / 430]
    variance = (99 * 4 + 399 * 4 + 100 * (5 - whole) ** 2 + 400 * (5.5 - whole) ** 2) / 499
    expected = norm.sf(0, centre[1] - centre[0], np.sqrt(variance / 130 + variance / 430))
    assert result[1] == pytest.approx(expected, abs=0.01)


def test_binary_probabilities_match_the_integral():
    arms = [Arm.of("a", [0, 1] * 50), Arm.of("b", [0, 1, 1] * 50)]
    result = best_probabilities(arms, np.random.default_rng(2))
    whole = 150 / 250
    one = beta(50 + 30 * whole, 50 + 30 * (1 - whole))
    two = beta(100 + 30 * whole, 50 + 30 * (1 - whole))
    expected = quad(lambda p: two.pdf(p) * one.cdf(p), 0, 1)[0]
    assert result[1] == pytest.approx(expected, abs=0.015)


def test_equal_rewards_give_equal_probabilities():
    assert best_probabilities([Arm("a", 9, 1.0, 0.0), Arm("b", 0, 0.0, 0.0)], np.random.default_rng(3)).tolist() == [
        0.5,
        0.5,
    ]


def test_weights_are_floats_by_name():
    result = weights([Arm("a", 0, 0.0, 0.0), Arm("b", 0, 0.0, 0.0)], Bandit(), np.random.default_rng(4))
    assert result == {"a": 50.0, "b": 50.0}
    assert {type(weight) for weight in result.values()} == {float}


def test_shares_are_rounded_to_a_bucket_and_still_add_up():
    assert project(np.array([33.333, 33.333, 33.334]), 5, 95).tolist() == pytest.approx([33.34, 33.33, 33.33])
    assert project(np.array([50.0, 50.0]), 50, 50).tolist() == [50, 50]
    assert project(np.array([100.0, 0, 0, 0]), 0, 40).tolist() == pytest.approx([40, 20, 20, 20])
    with pytest.raises(ValueError, match=r"^3 variants, each from 33.5 to 95 percent, cannot add up to 100$"):
        project(np.array([100.0, 0, 0]), 33.5, 95)
    third = project(np.array([100.0, 0, 0]), 100 / 3, 95)
    assert third.tolist() == pytest.approx([100 / 3] * 3, abs=0.01)


NEW, OLD = Arm("new", 100, 0.6, 0.24), Arm("old", 400, 0.5, 0.25)
WHOLE = (99 * 0.24 + 399 * 0.25 + 100 * 0.08**2 + 400 * 0.02**2) / 499


def test_error_and_information_of_two_arms():
    error, information = error_and_information(NEW, OLD)
    assert error == pytest.approx(WHOLE / 100 + 0.25 / 400)
    assert information == pytest.approx(WHOLE / error)
    alike = error_and_information(Arm("new", 100, 0.5, 0.25), Arm("old", 400, 0.5, 0.25))
    assert alike[1] == pytest.approx(80, rel=0.01)  # n m / (n + m)
    assert floored_variance(NEW, OLD) == 0.25
    assert floored_variance(Arm("a", 9, 0.0, 0.3), OLD) == 0.3


def test_the_interval_of_a_mean():
    result = mean(OLD, 0.05)
    half = radius(0.25 / 400, 400, 0.05)
    assert (result.estimate, result.low, result.high) == pytest.approx((0.5, 0.5 - half, 0.5 + half))
    assert result.radius == pytest.approx(half)
    assert mean(OLD) == result
    assert mean(OLD, 0.01).radius > half
    for arm in (Arm("few", 29, 0.5, 0.25), Arm("alike", 99, 0.5, 0.0)):
        assert mean(arm) == Interval(0.5, -np.inf, np.inf)
    assert np.isfinite(mean(Arm("enough", 30, 0.5, 0.25)).low)


def test_the_defaults_are_five_per_cent_and_eighty():
    assert difference(NEW, OLD) == difference(NEW, OLD, 0.05)
    assert detectable(NEW, OLD) == detectable(NEW, OLD, 0.05, 0.8)
    assert units_needed(NEW, OLD) == units_needed(NEW, OLD, None, 0.05) == units_needed(NEW, OLD, 0.1)
    assert outcome(NEW, OLD) == outcome(NEW, OLD, 0.05)
    assert verdict(NEW, OLD) == verdict(NEW, OLD, 0.05, 1.0)
    error, information = error_and_information(NEW, OLD)
    assert detectable(NEW, OLD) == pytest.approx(radius(error, information, 0.05) + 0.8416212 * error**0.5)


def test_units_needed_are_whole_and_0_once_decided():
    more = units_needed(NEW, OLD)
    assert more == int(more) > 0
    assert units_needed(NEW, OLD, effect=0.5) == 0
    assert units_needed(NEW, OLD, effect=0.0) == np.inf
    assert units_needed(OLD, NEW) == more
    error, information = error_and_information(NEW, OLD)
    less, enough = (
        radius(error / growth, information * growth, 0.05) for growth in ((499 + more) / 500, (500 + more) / 500)
    )
    assert enough <= 0.1 < less


def test_30_units_are_enough_for_an_outcome():
    arms = [Arm(name, 30, value, 0.25) for name, value in (("new", 9.0), ("old", 0.0))]
    assert outcome(*arms) is Outcome.BETTER
    assert outcome(*reversed(arms)) is Outcome.WORSE
    few = Arm("few", 29, 0.0, 0.25)
    assert verdict(arms[0], few) == "no sample: few has 29 users, each variant needs 30"
    assert outcome(few, arms[0]) is Outcome.NO_DATA


def test_a_mismatch_is_a_p_value_below_one_per_cent():
    assert "Not to be trusted" not in verdict(NEW, OLD, ratio=0.01)
    assert verdict(NEW, OLD, ratio=0.00999).endswith("(p = 0.01)")


def test_the_sample_ratio_is_a_bayes_factor():
    """Of two variants: a beta-binomial against the binomial of the weights."""
    factor = betabinom.pmf(120, 200, 500, 500) / binom.pmf(120, 200, 0.5)
    assert sample_ratio({"a": 120, "b": 80}, {"a": 1.0, "b": 1.0}) == pytest.approx(min(1, 1 / factor))
    assert 0 < 1 / factor < 1
    assert sample_ratio({"a": 20}, {"a": 50, "b": 50}) < 1
    for bad in ({"a": 0}, {"a": 110, "b": -10}, {}):
        with pytest.raises(ValueError, match=re.escape(f"no shares: {bad}")):
            sample_ratio({"a": 1}, bad)
