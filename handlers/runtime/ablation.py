"""Feature ablation, the attribution method of imported programs (such as ONNX), which have no gradients."""

import math
from collections.abc import Callable

import torch
from captum.attr import FeatureAblation
from torch import Tensor


def feature_ablation(
    score: Callable[[Tensor], Tensor], batch: Tensor, baselines: Tensor, *, steps: int, batch_size: int, target: int
) -> tuple[Tensor, float]:
    """Return the attributions of an image's pixels to the score of `target`, and their convergence delta.

    The image is divided into a grid of squares. The attribution of a square is the decrease of the score when the
    baseline replaces it, and each of its pixels has this attribution, divided evenly over the channels. The delta is
    the sum over the squares, less the difference of the scores of image and baseline.

    batch, baselines, attributions: (1, C, H, W); score: a batch to (N, classes). `batch_size` images are evaluated at a
    time. There are about 2 * `steps` squares, as a step of integrated gradients, with its backward pass, costs at least
    two evaluations.
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
    # captum gives every pixel and channel of a square the square's whole attribution: count each square once.
    total = sum(attributions[0, 0][squares[0, 0] == n][0] for n in range(side * side))
    return attributions / batch.shape[1], float(total - difference)
