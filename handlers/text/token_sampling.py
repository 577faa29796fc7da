"""Token sampling: temperature, top-k and top-p."""

from dataclasses import dataclass

import torch
from torch import Tensor

from handlers.request import Request

MAX_TEMPERATURE = 10.0
MAX_SEED = 2**63 - 1  # what torch.Generator takes


@dataclass(frozen=True)
class Sampling:
    """Options of sampling. `temperature` 0 always takes the likeliest token.

    Otherwise the logits are divided by it, and a token is drawn from the `top_k` likeliest ones, further limited to the
    fewest whose probabilities add up to `top_p` (Holtzman et al., arXiv:1904.09751). The same seed draws the same
    tokens.
    """

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float = 0.95
    seed: int | None = None

    @classmethod
    def from_request(cls, request: Request) -> "Sampling":
        """Read the options of a request. Raises BadRequest for one that is out of range."""
        given = {
            "temperature": request.number("temperature", 0, MAX_TEMPERATURE),
            "top_k": request.integer("top_k", 1),
            "top_p": request.number("top_p", 0, 1),
            "seed": request.integer("seed", 0, MAX_SEED),
        }
        return cls(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]

    def generator(self) -> torch.Generator:
        """Return the random generator, on the CPU: the same numbers whatever the device."""
        generator = torch.Generator()
        if self.seed is None:
            generator.seed()
        else:
            generator.manual_seed(self.seed)
        return generator

    def sample(self, logits: Tensor, generator: torch.Generator) -> int:
        """Sample a token from logits (V,) on the CPU."""
        if self.temperature == 0:
            return int(logits.argmax())
        scaled, tokens = (logits.double() / self.temperature).sort(descending=True)
        probabilities = scaled.softmax(dim=0)
        before = probabilities.cumsum(dim=0) - probabilities  # sum over all likelier tokens
        kept = before < max(self.top_p, torch.finfo(probabilities.dtype).tiny)  # the likeliest one, at least
        if self.top_k is not None:
            kept[self.top_k :] = False
        return int(tokens[torch.multinomial(probabilities * kept, 1, generator=generator)])
