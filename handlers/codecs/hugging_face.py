"""Codec for the tokenizer of an imported Hugging Face model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from tokenizers.decoders import DecodeStream
from torch import Tensor

from handlers.codecs.byte_pairs import TokenizerCodec
from models.parts.sequence_classifier import PADDING


@dataclass(frozen=True)
class HuggingFaceCodec(TokenizerCodec):
    """Tokens as the tokenizer splits them, at most `max_words` of a text that has at most `max_characters` characters,
    between the special tokens that it adds.

    `blank` is the id that explanations begin with, `unknown` that of the unknown token, if there is one.
    """

    blank: int
    unknown: int | None
    max_words: int
    max_characters: int
    padding: ClassVar[int] = PADDING

    @cached_property
    def _special(self) -> tuple[list[str], list[str]]:
        """Tokens that are added before and after those of a text."""
        encoded = self._tokenizer.encode("a")
        own = [place for place, special in enumerate(encoded.special_tokens_mask) if not special]
        first, last = (own[0], own[-1] + 1) if own else (len(encoded), len(encoded))
        return encoded.tokens[:first], encoded.tokens[last:]

    def split(self, text: str) -> list[str]:
        """Return all tokens of a text, in order, without those that are added."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).tokens)

    def prepare_tokens(self, words: Sequence[str]) -> list[str]:
        """Return the tokens that the network gets: at most `max_words` of these, between those that are added."""
        before, after = self._special
        return [*before, *words[: self.max_words], *after]

    def words(self, text: str) -> list[str]:
        """Return the tokens of a text that the network gets."""
        return self.prepare_tokens(self.split(text))

    def number(self, token: str) -> int | None:
        """Return the id of a token; `unknown` if the vocabulary lacks it."""
        found: int | None = self._tokenizer.token_to_id(token)
        return self.unknown if found is None else found

    def numbers(self, words: Sequence[str]) -> Tensor:
        """Return the ids of these tokens, (T,) of int64; `blank` for none, so that any text gets a response."""
        ids = [self.blank if number is None else number for number in map(self.number, words)]
        return torch.tensor(ids or [self.blank])

    def is_known(self, word: str) -> bool:
        """Return whether this token is any but the unknown one."""
        return self.number(word) != self.unknown or self.unknown is None

    def display(self, words: Sequence[str]) -> list[str]:
        """Return the text of each token; where several tokens spell one character, the last of them has it.

        Vocabularies of bytes name "好" by three Latin letters.
        """
        stream = DecodeStream(skip_special_tokens=False)
        return [(stream.step(self._tokenizer, number) or "").strip() for number in self.numbers(words).tolist()]
