"""E-processes for Bernoulli rates: log evidence that may be looked at any number of times.

While its null hypothesis holds, exp(evidence) ever reaches 1/alpha with probability alpha at most (Ville's inequality;
Ramdas, Gruenwald, Vovk, Shafer 2023, "Game-theoretic statistics and safe anytime-valid inference").
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import betaincc, betaln, xlog1py, xlogy

NEAR, FAR = 100.0, 4.0  # trials that a mixture over alternatives is worth: the more, the nearer the rate in question
POCKET = 0.1  # of the stake is never played, so that one lost bet does not undo the other
GRID = np.linspace(-10, 10, 201)  # standard errors around a quantile

Array = NDArray[np.float64]


def above(hits: ArrayLike, trials: ArrayLike, rate: float, prior: float) -> Array:
    """Log evidence against "the rate is `rate` at most"; rises with the hits.

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


def below(hits: ArrayLike, trials: ArrayLike, rate: float, prior: float) -> Array:
    """Log evidence against "the rate is `rate` at least"."""
    return above(np.subtract(trials, hits), trials, 1 - rate, prior)


def higher(hits: ArrayLike, trials: ArrayLike, other_hits: ArrayLike, other_trials: ArrayLike) -> Array:
    """Log evidence against "the rate is the other's at most", both unknown; 0 while it does not look higher.

    Mixture likelihood over the greatest likelihood of the null, which is at the common rate (universal inference:
    Wasserman, Ramdas, Balakrishnan 2020). It holds for any order and any changing shares of the two.
    """
    x, n, y, m = (np.asarray(value, dtype=float) for value in (hits, trials, other_hits, other_trials))
    both = x + y
    common = both / np.maximum(n + m, 1)
    # Beta(2, 30) for a bad rate, Beta(0.1, 10) for a usual one: any pair is valid, these find a few per cent soonest
    mixture = betaln(2 + x, 30 + n - x) - betaln(2, 30) + betaln(0.1 + y, 10 + m - y) - betaln(0.1, 10)
    ratio = mixture - xlogy(both, common) - xlog1py(n + m - both, -common)
    return np.asarray(np.where(x * m > y * n, ratio, 0.0))


def apart(hits: int, trials: int, other_hits: int, other_trials: int, gap: float) -> float:
    """Log likelihood ratio of the rates as observed over the likeliest two that are `gap` apart; no e-process."""

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


def slower(values: Array, others: Array, factor: float, quantile: float) -> float:
    """Log evidence against "this quantile of the values is `factor` times that of the others at most", both unknown.

    Were t the others' quantile, then a share 1 - quantile of them at least would be t or more, and of the values at
    most that share above factor t. The product of the evidence against the two is an e-process at the true t; so the
    least product over all t is less than one. Between two grid points, bounded by monotony.
    """
    m = len(others)
    if m == 0 or len(values) == 0:
        return 0.0
    others, share = np.sort(others), 1 - quantile
    ranks = np.unique(np.clip(np.rint(m * quantile + GRID * np.sqrt(m * quantile * share)), 0, m - 1).astype(int))
    grid = others[ranks]
    over = len(values) - np.searchsorted(np.sort(values), factor * grid, side="right")
    reach = m - np.searchsorted(others, grid, side="left")
    high = hedged(above(np.append(over, 0), len(values), share, FAR))  # at the right end of each piece
    low = hedged(below(np.insert(reach, 0, m), m, share, NEAR))  # at its left end
    return float(np.min(high + low))


def hedged(evidence: Array) -> Array:
    """Part of the stake stays in the pocket: still an e-process, and never below log POCKET."""
    return np.logaddexp(np.log(POCKET), np.log1p(-POCKET) + evidence)
