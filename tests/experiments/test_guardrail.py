"""The guard in simulated traffic: the candidate gets 5 new users a second, the control 45, with a check every 2 s."""

from math import log

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from marina.experiments.guardrail import (
    SHORT_SECONDS,
    THRESHOLDS,
    WINDOW_SECONDS,
    RequestStats,
    request_stats,
    violation,
)
from marina.experiments.queries import Requests
from marina.experiments.spec import Guard
from marina.experiments.statistics.sequential_tests import (
    FAR_PRIOR,
    NEAR_PRIOR,
    hedge,
    quantile_slower,
    rate_above,
    rate_below,
    rate_gap,
    rate_higher,
)

GUARD = Guard(errors=0.01, latency=1.25)
CHECK, RATE, OTHER_RATE = 2, 5, 45  # seconds, users a second
NONE = np.array([])


def lognormal(random, size, sigma, factor=1.0):
    return 0.03 * factor * np.exp(sigma * random.standard_normal(size))


def alarms(seed, runs, seconds, errors=(0.0, 0.0), sigma=0.2, factor=1.0):
    """Seconds (runs,) to the first violation: infinite where there is none."""
    random = np.random.default_rng(seed)
    first = np.full(runs, np.inf)
    for run in range(runs):
        latencies = lognormal(random, RATE * seconds, sigma, factor), lognormal(random, OTHER_RATE * seconds, sigma)
        failed = [np.cumsum(random.random(len(values)) < rate) for values, rate in zip(latencies, errors, strict=True)]
        for now in range(CHECK, seconds + 1, CHECK):
            sizes = RATE * now, OTHER_RATE * now
            windows = [
                RequestStats(n, int(bad[n - 1]), values[:n])
                for n, bad, values in zip(sizes, failed, latencies, strict=True)
            ]
            if violation(*windows, GUARD):
                first[run] = now
                break
    return first


def test_five_percent_errors_are_found():
    """Not in 20 s, in 95 % of the runs: those are 100 requests, of which 2 or fewer fail in 12 % of the runs, 3 or
    fewer in 26 %; and all of 3 errors fall on a tenth of the requests by chance once in 1,000."""
    first = alarms(1, runs=300, seconds=60, errors=(0.05, 0.0))
    assert np.median(first) <= 20
    assert np.mean(first <= 40) >= 0.95


def test_ten_percent_errors_are_found_within_20_seconds():
    assert np.mean(alarms(2, runs=300, seconds=20, errors=(0.1, 0.0)) <= 20) >= 0.95


def test_latencies_50_percent_longer_are_found_within_20_seconds():
    assert np.mean(alarms(3, runs=300, seconds=20, factor=1.5) <= 20) >= 0.95


def test_a_long_tail_is_found():
    random = np.random.default_rng(4)
    values, others = lognormal(random, 3_000, 0.2), lognormal(random, 27_000, 0.2)
    values[random.random(3_000) < 0.03] *= 10
    reason = violation(RequestStats(3_000, 0, values), RequestStats(27_000, 0, others), GUARD)
    assert reason is not None
    assert reason.startswith("latency: p99 ")


def test_equal_variants_are_rarely_a_violation():
    """Ten minutes, 1 % errors, heavy tails: 100 runs of the whole test; the tests below have many more of its parts."""
    assert np.mean(np.isfinite(alarms(5, runs=100, seconds=600, errors=(0.01, 0.01), sigma=0.5))) < 0.01


def alarms_of_heavy_users(seed: int, *, by_user: bool) -> float:
    """Return the share of 60 runs with a violation by two equal variants.

    Of 1,000 users, each sends 1 to 40 requests in ten minutes. All requests of 2 % of them fail, in either variant.
    """
    random, runs, users = np.random.default_rng(seed), 60, 1_000
    violations = 0
    for _ in range(runs):
        bad, candidate = random.random(users) < 0.02, random.random(users) < 0.1
        unit = np.repeat(np.arange(users), random.integers(1, 41, users))
        at = np.sort(random.uniform(0, 600, len(unit)))
        unit = random.permutation(unit)
        seconds = np.where(bad[unit], np.nan, lognormal(random, len(unit), 0.2))
        requests = Requests(at, bad[unit], seconds, unit if by_user else np.arange(len(unit)))
        for now in range(60, 601, 60):
            for window in THRESHOLDS:
                seen = (at < now) & (at >= (now - 60) // window * window)
                pair = [request_stats(requests.where(seen & each[unit])) for each in (candidate, ~candidate)]
                if violation(pair[0], pair[1], GUARD, window):
                    break
            else:
                continue
            violations += 1
            break
    return violations / runs


def test_heavy_users_whose_requests_fail_everywhere_are_no_violation():
    """Requests of one user are not independent. Counted singly, they withdraw one in seven equal variants."""
    assert alarms_of_heavy_users(9, by_user=True) <= 0.02
    assert alarms_of_heavy_users(9, by_user=False) > 0.05


@pytest.mark.parametrize("rate", [0.0005, 0.003, 0.01, 0.1])
def test_error_evidence_seldom_reaches_its_threshold_when_rates_are_equal(rate):
    random = np.random.default_rng(6)
    n, m = RATE * CHECK * np.arange(1, 301), OTHER_RATE * CHECK * np.arange(1, 301)
    hits = random.binomial(RATE * CHECK, rate, (2_000, 300)).cumsum(axis=1)
    others = random.binomial(OTHER_RATE * CHECK, rate, (2_000, 300)).cumsum(axis=1)
    greatest = rate_higher(hits, n, others, m).max(axis=1)
    assert np.mean(greatest >= log(20)) <= 0.05
    assert np.mean(greatest >= THRESHOLDS[WINDOW_SECONDS]) <= 0.003


@pytest.mark.parametrize("quantile", [0.5, 0.99])
def test_quantile_evidence_seldom_reaches_its_threshold_at_the_true_quantile(quantile):
    """`quantile_slower` takes the least over all quantiles, at most this one, which is the boundary of the null."""
    random = np.random.default_rng(7)
    n, m = RATE * CHECK * np.arange(1, 301), OTHER_RATE * CHECK * np.arange(1, 301)
    over = random.binomial(RATE * CHECK, 1 - quantile, (2_000, 300)).cumsum(axis=1)
    reach = random.binomial(OTHER_RATE * CHECK, 1 - quantile, (2_000, 300)).cumsum(axis=1)
    both = hedge(rate_above(over, n, 1 - quantile, FAR_PRIOR)) + hedge(rate_below(reach, m, 1 - quantile, NEAR_PRIOR))
    greatest = both.max(axis=1)
    assert np.mean(greatest >= log(20)) <= 0.05
    assert np.mean(greatest >= THRESHOLDS[WINDOW_SECONDS]) <= 0.003


def test_quantile_slower_is_bounded_by_the_product_at_each_quantile():
    random = np.random.default_rng(8)
    values, others = lognormal(random, 200, 0.2, 1.5), lognormal(random, 1_800, 0.2)
    result = quantile_slower(values, others, 1.25, 0.5)
    for t in np.linspace(0.02, 0.05, 101):
        high = hedge(rate_above(np.sum(values > 1.25 * t), 200, 0.5, FAR_PRIOR))
        low = hedge(rate_below(np.sum(others >= t), 1_800, 0.5, NEAR_PRIOR))
        assert result <= high + low


def test_evidence_integrates_the_likelihood_ratio():
    prior = beta(FAR_PRIOR * 0.3, FAR_PRIOR * 0.7)
    ratio = quad(lambda p: prior.pdf(p) * (p / 0.3) ** 9 * ((1 - p) / 0.7) ** 6, 0.3, 1)[0] / prior.sf(0.3)
    assert float(rate_above(9, 15, 0.3, FAR_PRIOR)) == pytest.approx(log(ratio), abs=1e-6)
    assert float(rate_below(6, 15, 0.7, FAR_PRIOR)) == pytest.approx(log(ratio), abs=1e-6)


def test_rate_gap_compares_with_the_likeliest_rates_with_that_gap():
    grid = np.linspace(0, 0.98, 98_001)
    likelihood = 8 * np.log(grid + 0.01) + 92 * np.log(0.99 - grid) + 9 * np.log(grid + 1e-300) + 891 * np.log(1 - grid)
    observed = 8 * log(0.08) + 92 * log(0.92) + 9 * log(0.01) + 891 * log(0.99)
    assert rate_gap(8, 100, 9, 900, 0.01) == pytest.approx(observed - likelihood.max(), abs=1e-4)


def test_an_excess_within_the_tolerance_is_no_violation():
    windows = RequestStats(100_000, 1_500, NONE), RequestStats(900_000, 9_000, NONE)
    assert rate_higher(1_500, 100_000, 9_000, 900_000) > THRESHOLDS[WINDOW_SECONDS]
    assert violation(*windows, GUARD) is None
    assert violation(*windows, Guard(errors=0.004)) is not None


def test_reasons():
    bad, good = RequestStats(200, 20, np.full(180, 0.02)), RequestStats(1_800, 9, np.full(1_791, 0.02))
    assert violation(bad, good, GUARD) == (
        "errors: 10.00% of 200 users, of the control's 1,800 0.50%; more than 1.00% above"
    )
    slow, fast = (RequestStats(200, 0, factor * np.linspace(0.02, 0.04, 201)) for factor in (2, 1))
    assert violation(slow, fast, GUARD) == (
        "latency: median 60.0 ms over 201 users, the control's 30.0 ms over 201; more than 1.25 times as long"
    )


@pytest.mark.parametrize(
    ("candidate", "control"),
    [
        (RequestStats(0, 0, NONE), RequestStats(0, 0, NONE)),
        (RequestStats(0, 0, NONE), RequestStats(1_000, 1_000, NONE)),
        (RequestStats(1, 1, NONE), RequestStats(1_000, 0, np.full(1_000, 0.02))),
        (RequestStats(3, 0, np.full(3, 9.0)), RequestStats(1_000, 0, np.full(1_000, 0.02))),
        (RequestStats(1_000, 0, np.full(1_000, 9.0)), RequestStats(0, 0, NONE)),
        (RequestStats(1_000, 0, np.full(1_000, 0.02)), RequestStats(1_000, 0, np.full(1_000, 0.02))),
    ],
)
def test_without_data_there_is_no_violation(candidate, control):
    assert violation(candidate, control, GUARD) is None


@pytest.mark.parametrize("window", THRESHOLDS)
def test_one_or_two_users_are_no_violation_however_many_the_control_has(window):
    control = RequestStats(1_000_000, 0, np.full(1_000_000, 0.02))
    for users in (1, 2):
        assert rate_higher(users, users, 0, 1_000_000) > THRESHOLDS[window]
        for candidate in (RequestStats(users, users, NONE), RequestStats(users, 0, np.full(users, 9.0))):
            assert violation(candidate, control, GUARD, window) is None
    assert violation(RequestStats(3, 3, NONE), control, GUARD, window) is not None


def test_differences_within_the_tolerance_are_no_violation():
    none = np.array([])
    guard = Guard(errors=0.5)
    control = RequestStats(1000, 0, none)
    assert violation(RequestStats(1000, 500, none), control, guard) is None  # exactly the tolerance
    assert violation(RequestStats(1000, 800, none), control, guard).startswith("errors: 80.00% of 1,000 ")
    assert {WINDOW_SECONDS: log(600), SHORT_SECONDS: log(36_000)} == pytest.approx(THRESHOLDS)


def test_a_violation_names_the_slow_quantile():
    fast = np.linspace(0.02, 0.021, 20_000)
    tail = np.concatenate([fast[::10], np.full(200, 0.5)])
    reason = violation(RequestStats(2_200, 0, tail), RequestStats(20_000, 0, fast), Guard())
    assert reason == (
        "latency: p99 500.0 ms over 2,200 users, the control's 21.0 ms over 20,000; more than 1.25 times as long"
    )
    assert violation(RequestStats(1000, 0, 1.25 * fast), RequestStats(1000, 0, fast), Guard()) is None
