"""Random numbers that can be asked for again."""

import secrets
from dataclasses import dataclass

import torch
from torch import Tensor

from handlers.row import Row

MOST, SEEDS = 64, 2**53  # images a request; seeds that every JSON reader takes for what they are


@dataclass(frozen=True)
class Order:
    """What to make: `z` is (count, latent) of the standard normal distribution, and depends on `seed` alone."""

    z: Tensor
    seed: int
    as_png: bool

    @classmethod
    def of(cls, row: Row, latent: int) -> "Order":
        """Reads the options `seed` (any if not given) and `count`; raises BadRequest if one is out of range."""
        seed = row.whole("seed", 0, SEEDS - 1)
        seed = secrets.randbelow(SEEDS) if seed is None else seed
        numbers = torch.randn(row.whole("count", 1, MOST) or 1, latent, generator=torch.Generator().manual_seed(seed))
        return cls(numbers, seed, row.accepts("image/png"))
