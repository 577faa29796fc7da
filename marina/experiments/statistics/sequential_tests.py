"""Sequential tests for guardrails and for the split: their error probabilities hold for any number of checks.

Evidence is the log of an e-process: while its null hypothesis holds, exp(evidence) ever reaches 1/alpha with
probability alpha at most (Ville's inequality; Ramdas, Gruenwald, Vovk, Shafer 2023, "Game-theoretic statistics and
safe anytime-valid inference").
"""

from collections.abc import Mapping
from math import exp

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import betaincc, betaln, gammaln, xlog1py, xlogy

NEAR_PRIOR, FAR_PRIOR = 100.0, 4.0  # trials that a prior of alternatives is worth: many for rates near the null
RESERVE = 0.1  # of the capital is never bet, so that one lost bet does not cancel the other
GRID_STEPS = np.linspace(-10, 10, 201)  # standard errors around a quantile
CONCENTRATION = 1_000.0  # of the Dirichlet prior around the weights: shares about 1 % off, at a weight of 90 %

Array = NDArray[np.float64]


def rate_above(hits: ArrayLike, trials: ArrayLike, rate: float, prior: float) -> Array:
    """Return log evidence against "the rate is at most `rate`"; it rises with the hits.

    The likelihood ratio against `rate`, mixed over Beta(prior rate, prior (1 - rate)) cut off below `rate`: for each
    rate in the mixture a supermartingale under each rate of the null (Robbins 1970). -inf where it underflows.
    """
    hits, trials = np.asarray(hits, dtype=float), np.asarray(trials, dtype=float)
    a, b = prior * rate, prior * (1 - rate)
    after_a, after_b = a + hits, b + trials - hits
    with np.errstate(divide="ignore"):
        cut = np.log(betaincc(after_a, after_b, rate)) - np.log(betaincc(a, b, rate))
    mixture = betaln(after_a, after_b) - betaln(a, b) + cut
    return np.asarray(mixture - xlogy(hits, rate) - xlog1py(trials - hits, -rate))


def rate_below(hits: ArrayLike, trials: ArrayLike, rate: float, prior: float) -> Array:
    """Return log evidence against "the rate is at least `rate`"."""
    return rate_above(np.subtract(trials, hits), trials, 1 - rate, prior)


def rate_higher(hits: ArrayLike, trials: ArrayLike, other_hits: ArrayLike, other_trials: ArrayLike) -> Array:
    """Return log evidence against "the rate is at most the other's", both unknown; 0 while it isn't higher observed.

    Mixture likelihood over the greatest likelihood of the null, which is at the common rate (universal inference:
    Wasserman, Ramdas, Balakrishnan 2020). It holds for any order and any changing shares of the two.
    """
    x, n, y, m = (np.asarray(value, dtype=float) for value in (hits, trials, other_hits, other_trials))
    both = x + y
    common = both / np.maximum(n + m, 1)
    # Beta(2, 30) for a bad rate, Beta(0.1, 10) for a usual one: any pair is valid, these detect a few per cent soonest
    mixture = betaln(2 + x, 30 + n - x) - betaln(2, 30) + betaln(0.1 + y, 10 + m - y) - betaln(0.1, 10)
    ratio = mixture - xlogy(both, common) - xlog1py(n + m - both, -common)
    return np.asarray(np.where(x * m > y * n, ratio, 0.0))


def rate_gap(hits: int, trials: int, other_hits: int, other_trials: int, gap: float) -> float:
    """Return the log likelihood ratio of the observed rates to the likeliest two `gap` apart; no e-process."""

    def likelihood(rate: float, other: float) -> float:
        return float(
            xlogy(hits, rate)
            + xlog1py(trials - hits, -rate)
            + xlogy(other_hits, other)
            + xlog1py(other_trials - other_hits, -other)
        )

    # concave in the other's rate
    best = minimize_scalar(lambda other: -likelihood(other + gap, other), bounds=(0, 1 - gap), options={"xatol": 1e-7})
    return likelihood(hits / max(trials, 1), other_hits / max(other_trials, 1)) + float(best.fun)


def quantile_slower(values: Array, others: Array, factor: float, quantile: float) -> float:
    """Return log evidence against "this quantile of the values is at most `factor` times the others'", both unknown.

    If t were the others' quantile, at least a share 1 - quantile of them would be t or more, and at most that share of
    the values above factor t. The product of the evidence against the two is an e-process at the true t; so the least
    product over all t is less than one. Between two grid points it is bounded by monotony.
    """
    m = len(others)
    if m == 0 or len(values) == 0:
        return 0.0
    others, share = np.sort(others), 1 - quantile
    ranks = np.unique(np.clip(np.rint(m * quantile + GRID_STEPS * np.sqrt(m * quantile * share)), 0, m - 1).astype(int))
    grid = others[ranks]
    over = len(values) - np.searchsorted(np.sort(values), factor * grid, side="right")
    reach = m - np.searchsorted(others, grid, side="left")
    high = hedge(rate_above(np.append(over, 0), len(values), share, FAR_PRIOR))  # at the right end of each piece
    low = hedge(rate_below(np.insert(reach, 0, m), m, share, NEAR_PRIOR))  # at its left end
    return float(np.min(high + low))


def hedge(evidence: Array) -> Array:
    """Return the evidence with a reserve of the capital: still an e-process, and never below log RESERVE."""
    return np.logaddexp(np.log(RESERVE), np.log1p(-RESERVE) + evidence)


def sample_ratio(counts: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """Return a p-value of a sample ratio mismatch: whether users came in other shares than the weights.

    It holds at all times together: with the right shares it is ever alpha or less with probability at most alpha.

    `counts` are of units whose first request came while these weights (in any unit of measure) held. It is the
    reciprocal of the Bayes factor of a Dirichlet-multinomial against the multinomial of the weights (Lindon, Malek,
    arXiv:2011.03567). A unit where the weight is 0 is impossible: 0. Raises ValueError when no weight is above 0.

    >>> sample_ratio({"a": 500, "b": 500}, {"a": 50, "b": 50})
    1.0
    """
    total = sum(weights.values())
    if total <= 0 or min(weights.values()) < 0:
        raise ValueError(f"no shares: {dict(weights)}")
    if any(count and not weights.get(name) for name, count in counts.items()):
        return 0.0
    shares = np.array([weight / total for weight in weights.values() if weight])
    observed = np.array([counts.get(name, 0) for name, weight in weights.items() if weight])
    prior = CONCENTRATION * shares
    evidence = (
        gammaln(CONCENTRATION)
        - gammaln(CONCENTRATION + observed.sum())
        + np.sum(gammaln(prior + observed) - gammaln(prior) - xlogy(observed, shares))
    )
    return exp(-max(float(evidence), 0.0))
