"""Sample ratio mismatch: whether users came to the variants in the shares that the weights say."""

from collections.abc import Mapping
from math import exp

import numpy as np
from scipy.special import gammaln, xlogy

CONCENTRATION = 1_000.0  # of the Dirichlet prior around the weights: shares about 1 % off, at a weight of 90 %


def sample_ratio(counts: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """A p-value that holds at every look: it is ever alpha or less with probability alpha, when the shares are right.

    Counts of the units first seen while these weights (in any one unit) held. The reciprocal of the Bayes factor of a
    Dirichlet-multinomial against the multinomial of the weights (Lindon, Malek, arXiv:2011.03567). A unit where the
    weight is 0 is impossible: 0. Raises ValueError when no weight is above 0.
    """
    whole = sum(weights.values())
    if whole <= 0 or min(weights.values()) < 0:
        raise ValueError(f"no shares: {dict(weights)}")
    if any(count and not weights.get(name) for name, count in counts.items()):
        return 0.0
    shares = np.array([weight / whole for weight in weights.values() if weight])
    seen = np.array([counts.get(name, 0) for name, weight in weights.items() if weight])
    prior = CONCENTRATION * shares
    evidence = (
        gammaln(CONCENTRATION)
        - gammaln(CONCENTRATION + seen.sum())
        + np.sum(gammaln(prior + seen) - gammaln(prior) - xlogy(seen, shares))
    )
    return exp(-max(float(evidence), 0.0))
