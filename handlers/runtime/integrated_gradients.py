"""Integrated gradients, the attribution method of most explanations (arXiv:1703.01365)."""

from collections.abc import Callable

from captum.attr import IntegratedGradients, LayerIntegratedGradients
from torch import Tensor, nn


def integrated_gradients(
    score: Callable[[Tensor], Tensor],
    batch: Tensor,
    baselines: Tensor,
    *,
    steps: int,
    batch_size: int | None = None,
    target: int | None = None,
    layer: nn.Module | None = None,
) -> tuple[Tensor, float]:
    """Return the attributions of `score` on the way from `baselines` to `batch`, and their convergence delta: how far
    their sum is from the difference of the two scores.

    batch, baselines: (1, ...); score: a batch to (N,), or to (N, classes) of which `target` is one. The attributions
    have the shape of the batch, or of the output of `layer` for inputs without a gradient, such as ids of words.
    `steps` points are evaluated, `batch_size` at a time or all at once.
    """
    method = IntegratedGradients(score) if layer is None else LayerIntegratedGradients(score, layer)
    attributions, delta = method.attribute(
        batch,
        baselines=baselines,
        target=target,
        n_steps=steps,
        internal_batch_size=batch_size,
        return_convergence_delta=True,
    )
    return attributions, float(delta)
