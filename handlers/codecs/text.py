"""Texts: from characters to words, and from words to numbers."""

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jieba
import torch
from torch import Tensor

from handlers.errors import BadRequest

jieba.setLogLevel(logging.WARNING)  # it tells of every dictionary it reads

PAD, UNK = 0, 1
SPECIAL = ("<PAD>", "<UNK>")
NOISE = re.compile(r"https?://\S+|//@\S+|@[\w-]+|回复")


def text_of(value: Any, max_characters: int, truncate: bool = False) -> str:
    """A text that was sent raw, as a form part or in JSON; raises BadRequest if it is none, or too long, unless it is
    to be cut there."""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise BadRequest("text", f"not valid UTF-8: {fault.reason} at byte {fault.start}") from fault
    if not isinstance(value, str):
        raise BadRequest("text", 'send {"text": "..."}, or the text itself as a UTF-8 body')
    if len(value) > max_characters and not truncate:
        raise BadRequest("text", f"{len(value)} characters are over the limit of {max_characters}; truncate=true cuts")
    value = value[:max_characters]
    if not value.strip():
        raise BadRequest("text", "the text is empty")
    return value


@dataclass(frozen=True)
class TextCodec:
    """`vocabulary` starts with <PAD> and <UNK>; a text has at most `max_words` words."""

    vocabulary: Sequence[str]
    stop_words: Sequence[str]
    max_words: int
    max_characters: int

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        stop_words: Sequence[str],
        max_words: int,
        max_characters: int,
        min_count: int = 2,
    ) -> "TextCodec":
        """The codec whose vocabulary is every word that comes at least `min_count` times in `texts`."""
        without = cls([], stop_words, max_words, max_characters)
        counts = Counter(word for text in texts for word in without.words(text))
        kept = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        return cls([*SPECIAL, *kept], stop_words, max_words, max_characters)

    @cached_property
    def _number_of(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.vocabulary)}

    @cached_property
    def _stop_words(self) -> frozenset[str]:
        return frozenset(self.stop_words)

    @staticmethod
    def clean(text: str) -> str:
        """The text with width and case folded, links and names left out."""
        return NOISE.sub(" ", unicodedata.normalize("NFKC", text).lower())

    def split(self, text: str) -> list[str]:
        """All words of a text, in order; stop words are left out."""
        words = (word.strip() for word in jieba.cut(self.clean(text)))
        return [word for word in words if word and word not in self._stop_words]

    def framed(self, words: Sequence[str]) -> list[str]:
        """What is read of them: `max_words` at most."""
        return list(words[: self.max_words])

    def words(self, text: str) -> list[str]:
        """What is read of a text."""
        return self.framed(self.split(text))

    def numbers(self, words: Sequence[str]) -> Tensor:
        """(T,) of int64; at least one, so that even a text of stop words alone has an answer."""
        return torch.tensor([self._number_of.get(word, UNK) for word in words] or [UNK])

    def knows(self, word: str) -> bool:
        return word in self._number_of and word not in SPECIAL
