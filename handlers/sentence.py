"""A sentence to translate, and how."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from handlers.codecs.subwords import END
from handlers.errors import BadRequest
from handlers.row import Row

BEAMS, MOST_BEAMS = 4, 10
LENGTH_PENALTY, LARGEST_PENALTY = 1.5, 5.0


@dataclass(frozen=True)
class Sentence:
    """`tokens` (S,) end with <END>; of `beams` hypotheses the best `top` are told."""

    text: str
    tokens: Tensor
    beams: int
    length_penalty: float
    top: int
    alignment: bool
    truncated: bool

    @classmethod
    def of(cls, row: Row, tokens: Tensor, text: str, most: int) -> "Sentence":
        """Reads the row's options; raises BadRequest for one that is out of range, and for a text of more than `most`
        tokens that is not to be truncated."""
        beams = row.whole("beam", 1, MOST_BEAMS) or BEAMS
        penalty = row.number("length_penalty", 0, LARGEST_PENALTY)
        too_long = len(tokens) > most
        if too_long and not row.flag("truncate"):
            raise BadRequest("text", f"{len(tokens)} tokens are over the limit of {most}; truncate=true cuts")
        if too_long:
            tokens = torch.cat([tokens[: most - 1], torch.tensor([END])])
        return cls(
            text=text,
            tokens=tokens,
            beams=beams,
            length_penalty=LENGTH_PENALTY if penalty is None else penalty,
            top=min(row.whole("top", 1) or 1, beams),
            alignment=row.flag("alignment"),
            truncated=too_long,
        )


def paired(source: Tensor, target: Tensor) -> Tensor:
    """(S,), (T,) -> (max(S, T), 2): side by side, the shorter one padded."""
    length = max(len(source), len(target))
    return torch.stack([pad(source, (0, length - len(source))), pad(target, (0, length - len(target)))], dim=1)


def most(tokens: Tensor) -> int:
    """How many tokens a translation of these (S,) may have."""
    return 2 * len(tokens) + 10


def rounded(weights: Tensor) -> list[list[float]]:
    return [[round(weight, 4) for weight in row] for row in weights.tolist()]
