"""Codec for image generation: latent vectors that a seed reproduces."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from handlers.errors import BadRequest
from handlers.request import Request

MAX_IMAGES = 64  # per request
SEED_COUNT = 2**53  # integers that every JSON parser reads exactly


@dataclass(frozen=True)
class LatentInput:
    """Images to generate: `z` is (count, latent + classes), `labels` names the class of each.

    The first `latent` columns are standard normal and depend on `seed` alone, the rest are the class, one-hot.
    """

    z: Tensor
    seed: int
    labels: list[str]
    as_png: bool

    @classmethod
    def from_request(cls, request: Request, latent: int, labels: Sequence[str]) -> "LatentInput":
        """Read the options `seed` (random by default), `count` (1) and `label` (by default drawn for each image).

        Raises BadRequest if one is out of range.
        """
        seed, label = request.integer("seed", 0, SEED_COUNT - 1), request.option("label")
        if label is not None and label not in labels:
            raise BadRequest("label", f"not one of {', '.join(labels)}")
        seed, count = (
            secrets.randbelow(SEED_COUNT) if seed is None else seed,
            request.integer("count", 1, MAX_IMAGES) or 1,
        )
        generator = torch.Generator().manual_seed(seed)
        numbers = torch.randn(count, latent, generator=generator)
        drawn = torch.randint(len(labels), (count,), generator=generator)
        classes = drawn if label is None else torch.full_like(drawn, labels.index(label))
        z = torch.cat([numbers, one_hot(classes, len(labels))], dim=1)
        return cls(z, seed, [labels[place] for place in classes.tolist()], request.accepts("image/png"))
