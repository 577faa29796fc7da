"""The input of a translation: a sentence and the options of its beam search."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from handlers.codecs.subwords import END
from handlers.errors import BadRequest
from handlers.request import Request

DEFAULT_BEAMS, MAX_BEAMS = 4, 10
DEFAULT_LENGTH_PENALTY, MAX_LENGTH_PENALTY = 1.5, 5.0


@dataclass(frozen=True)
class TranslationInput:
    """A sentence, whose `tokens` (S,) end with <END>. Of `beams` hypotheses the best `top` are returned."""

    text: str
    tokens: Tensor
    beams: int
    length_penalty: float
    top: int
    alignment: bool
    truncated: bool

    @classmethod
    def from_request(cls, request: Request, tokens: Tensor, text: str, limit: int) -> "TranslationInput":
        """Read the options of a request.

        Raises BadRequest for one that is out of range, and for a text of more than `limit` tokens unless the option
        `truncate` is true.
        """
        beams = request.integer("beam", 1, MAX_BEAMS) or DEFAULT_BEAMS
        penalty = request.number("length_penalty", 0, MAX_LENGTH_PENALTY)
        too_long = len(tokens) > limit
        if too_long and not request.flag("truncate"):
            raise BadRequest("text", f"{len(tokens)} tokens are over the limit of {limit}; truncate=true cuts")
        if too_long:
            tokens = torch.cat([tokens[: limit - 1], torch.tensor([END])])
        return cls(
            text=text,
            tokens=tokens,
            beams=beams,
            length_penalty=DEFAULT_LENGTH_PENALTY if penalty is None else penalty,
            top=min(request.integer("top", 1) or 1, beams),
            alignment=request.flag("alignment"),
            truncated=too_long,
        )


def pad_pair(source: Tensor, target: Tensor) -> Tensor:
    """Stack source (S,) and target (T,) side by side, the shorter one padded: (max(S, T), 2)."""
    length = max(len(source), len(target))
    return torch.stack([pad(source, (0, length - len(source))), pad(target, (0, length - len(target)))], dim=1)


def max_target_tokens(tokens: Tensor) -> int:
    """Return the largest number of tokens of a translation of these, (S,)."""
    return 2 * len(tokens) + 10


def round_weights(weights: Tensor) -> list[list[float]]:
    """Return a matrix as lists of numbers with four decimals."""
    return [[round(weight, 4) for weight in row] for row in weights.tolist()]
