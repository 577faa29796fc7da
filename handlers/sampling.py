"""Which token comes next: the likeliest, or one that is drawn."""

from dataclasses import dataclass

import torch
from torch import Tensor

from handlers.row import Row

HOTTEST = 10.0
LARGEST = 2**63 - 1  # of a seed


@dataclass(frozen=True)
class Sampling:
    """`temperature` 0 takes the likeliest token, always. Else the logits are divided by it, all but the `top_k`
    likeliest tokens are left out, and of those all but the fewest whose probabilities add up to `top_p` (Holtzman et
    al., arXiv:1904.09751); one of the rest is drawn. The same seed draws the same."""

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float = 0.95
    seed: int | None = None

    @classmethod
    def of(cls, row: Row) -> "Sampling":
        """What the options of a request say; raises BadRequest for one that is out of range."""
        given = {
            "temperature": row.number("temperature", 0, HOTTEST),
            "top_k": row.whole("top_k", 1),
            "top_p": row.number("top_p", 0, 1),
            "seed": row.whole("seed", 0, LARGEST),
        }
        return cls(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]

    def generator(self) -> torch.Generator:
        """What it is drawn with, on the processor: the same numbers whatever the device."""
        generator = torch.Generator()
        if self.seed is None:
            generator.seed()
        else:
            generator.manual_seed(self.seed)
        return generator

    def pick(self, logits: Tensor, generator: torch.Generator) -> int:
        """(V,) of the processor -> a token."""
        if self.temperature == 0:
            return int(logits.argmax())
        scaled, tokens = (logits.double() / self.temperature).sort(descending=True)
        probabilities = scaled.softmax(dim=0)
        before = probabilities.cumsum(dim=0) - probabilities  # what all likelier ones add up to
        kept = before < max(self.top_p, torch.finfo(probabilities.dtype).tiny)  # the likeliest one, at least
        if self.top_k is not None:
            kept[self.top_k :] = False
        return int(tokens[torch.multinomial(probabilities * kept, 1, generator=generator)])
