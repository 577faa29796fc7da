"""Requests for the tags of an image, and tags out of a network's logits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from handlers.request import Request

THRESHOLD = 0.5  # probability from which on a tag is returned


@dataclass(frozen=True)
class TaggingInput:
    """The `pixels` (C, S, S) of an image, the lowest probability of a tag in the response, and whether the client
    accepts only a PNG rather than JSON.
    """

    pixels: Tensor
    threshold: float
    as_png: bool

    @classmethod
    def from_request(cls, request: Request, pixels: Tensor) -> "TaggingInput":
        """Read the request's options; raises BadRequest if `threshold` is not a number from 0 to 1."""
        threshold = request.number("threshold", 0, 1)
        return cls(pixels, THRESHOLD if threshold is None else threshold, request.accepts("image/png"))


def tags_over(probabilities: Tensor, labels: Sequence[str], threshold: float) -> list[dict[str, Any]]:
    """Return the tags with at least this probability, the most probable first; probabilities: (labels,).

    >>> import torch
    >>> tags_over(torch.tensor([0.25, 0.75, 0.5]), ["cat", "dog", "sofa"], 0.5)
    [{'label': 'dog', 'probability': 0.75}, {'label': 'sofa', 'probability': 0.5}]
    """
    values, order = probabilities.sort(descending=True, stable=True)
    return [
        {"label": labels[number], "probability": round(value, 6)}
        for number, value in zip(order.tolist(), values.tolist(), strict=True)
        if value >= threshold
    ]
