"""Shapley values by sampling, the attribution method of programs without gradients (Strumbelj and Kononenko 2010)."""

from collections.abc import Callable

import torch
from captum.attr import ShapleyValueSampling
from torch import Tensor

SAMPLES = 25  # permutations of the columns


def shapley_values(
    score: Callable[[Tensor], Tensor], batch: Tensor, baselines: Tensor, columns: Tensor, target: int | None = None
) -> tuple[Tensor, float]:
    """Return the attribution of each column of a row, (columns,), and how far their sum is from the difference of the
    scores of `batch` and `baselines`, both (1, F).

    `columns` has the number of each feature's column, (F,). The same on every call.
    """

    def mixed(chosen: Tensor) -> Tensor:
        """The score of rows with the chosen columns, (N, columns), of `batch`, and the others of `baselines`."""
        return score(torch.where(chosen[:, columns] > 0.5, batch, baselines))  # not multiplied: NaN is a missing value

    every = torch.ones(1, int(columns.max()) + 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        attributions = ShapleyValueSampling(mixed).attribute(every, target=target, n_samples=SAMPLES)[0]
    difference = score(batch)[0] - score(baselines)[0]
    return attributions, float(attributions.sum() - (difference if target is None else difference[target]))
