"""Texts as characters: no text is unknown for long, and Chinese needs no cutting into words."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from handlers.codecs.text import PAD, UNK

END = 2  # of a text; before its first character, too
SPECIAL = ("<PAD>", "<UNK>", "<END>")
NEVER_WRITTEN = (PAD, UNK)


@dataclass(frozen=True)
class CharacterCodec:
    """`alphabet` starts with <PAD>, <UNK> and <END>; a text has at most `max_characters`."""

    alphabet: Sequence[str]
    max_characters: int

    @classmethod
    def fit(cls, texts: Iterable[str], max_characters: int, min_count: int = 2) -> "CharacterCodec":
        """The codec of all characters that come at least `min_count` times."""
        counts = Counter(character for text in texts for character in folded(text))
        kept = sorted((one for one, count in counts.items() if count >= min_count), key=lambda c: (-counts[c], c))
        return cls([*SPECIAL, *kept], max_characters)

    @cached_property
    def _number_of(self) -> dict[str, int]:
        return {character: number for number, character in enumerate(self.alphabet)}

    def numbers(self, text: str) -> Tensor:
        """<END> and the characters: (1 + T,) of int64."""
        return torch.tensor([END, *(self._number_of.get(character, UNK) for character in folded(text))])

    def unknown(self, text: str) -> list[str]:
        """The characters that are read as <UNK>, each once."""
        return [character for character in dict.fromkeys(folded(text)) if character not in self._number_of]


def folded(text: str) -> str:
    """Full-width Latin letters and digits as their usual forms (NFKC), spaces as one."""
    return " ".join(unicodedata.normalize("NFKC", text).split())
