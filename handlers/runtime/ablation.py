"""Feature ablation, the attribution method of networks without gradients: programs of other runtimes."""

import math
from collections.abc import Callable

import torch
from captum.attr import FeatureAblation
from torch import Tensor


def feature_ablation(
    score: Callable[[Tensor], Tensor], batch: Tensor, baselines: Tensor, *, steps: int, batch_size: int, target: int
) -> tuple[Tensor, float]:
    """Return how much the score of `target` falls without each square of an image, and how far the sum of that is from
    the difference of the two scores.

    batch, baselines: (1, C, S, S); score: a batch to (N, classes). A step of integrated gradients, with its backward
    pass, costs at least two evaluations: `steps` allows for twice as many squares.
    """
    height, width = batch.shape[-2:]
    side = max(1, min(math.isqrt(2 * steps), height, width))
    rows, columns = (torch.arange(length, device=batch.device) * side // length for length in (height, width))
    squares = (rows[:, None] * side + columns).expand(1, 1, height, width)
    with torch.no_grad():
        attributions = FeatureAblation(score).attribute(
            batch, baselines=baselines, target=target, feature_mask=squares, perturbations_per_eval=batch_size
        )
        difference = (score(batch) - score(baselines))[0, target]
    # Every pixel and channel of a square has the square's whole attribution.
    total = sum(attributions[0, 0][squares[0, 0] == n][0] for n in range(side * side))
    return attributions / batch.shape[1], float(total - difference)
