"""Why two faces are found similar, by integrated gradients (arXiv:1703.01365)."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from handlers.faces import Question
from handlers.heatmap import heatmap


def heatmaps(
    network: Callable[[Tensor], Tensor], item: Question, faces: Tensor, others: Tensor, serving: Mapping[str, Any]
) -> tuple[dict[str, str] | bytes, float]:
    """faces: (K, C, S, S), as the network takes them; others: (K, D), what each is compared to. The attributions of the
    inner product to the pixels, from a grey face on, with the other held as it is: a picture each in base64 by part, or
    one PNG of all if that is what is wanted; and the largest convergence delta.
    """
    weights, deltas = [], []
    for face, other in zip(faces.unsqueeze(1), others, strict=True):
        attributions, delta = IntegratedGradients(lambda x, other=other: network(x) @ other).attribute(
            face,
            n_steps=serving["explain_steps"],
            internal_batch_size=serving["batch_size"],
            return_convergence_delta=True,
        )
        weights.append(attributions[0].sum(dim=0).detach().cpu())  # (S, S)
        deltas.append(float(delta))
    largest = max(deltas, key=abs)
    if item.as_png:
        return heatmap(torch.cat([*item.faces], dim=2), torch.cat(weights, dim=1)), largest
    pictures = (heatmap(face, weight) for face, weight in zip(item.faces, weights, strict=True))
    return {part: base64.b64encode(png).decode() for part, png in zip(item.parts, pictures, strict=True)}, largest
