"""Random numbers that can be asked for again."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from handlers.errors import BadRequest
from handlers.row import Row

MOST, SEEDS = 64, 2**53  # images a request; seeds that every JSON reader takes for what they are


@dataclass(frozen=True)
class Order:
    """What to make: `z` is (count, latent + classes), numbers of the standard normal distribution that depend on `seed`
    alone, and a one in the column of the class; `labels` are the names of those classes.
    """

    z: Tensor
    seed: int
    labels: list[str]
    as_png: bool

    @classmethod
    def of(cls, row: Row, latent: int, labels: Sequence[str]) -> "Order":
        """Reads the options `seed` (any if not given), `count`, and `label` (drawn for each image if not given); raises
        BadRequest if one is out of range."""
        seed, label = row.whole("seed", 0, SEEDS - 1), row.option("label")
        if label is not None and label not in labels:
            raise BadRequest("label", f"not one of {', '.join(labels)}")
        seed, count = secrets.randbelow(SEEDS) if seed is None else seed, row.whole("count", 1, MOST) or 1
        generator = torch.Generator().manual_seed(seed)
        numbers = torch.randn(count, latent, generator=generator)
        drawn = torch.randint(len(labels), (count,), generator=generator)
        classes = drawn if label is None else torch.full_like(drawn, labels.index(label))
        z = torch.cat([numbers, one_hot(classes, len(labels))], dim=1)
        return cls(z, seed, [labels[place] for place in classes.tolist()], row.accepts("image/png"))
