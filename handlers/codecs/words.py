"""Codec for texts as words: Chinese is segmented by jieba, each word has a number."""

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import jieba
import torch
from torch import Tensor

jieba.setLogLevel(logging.WARNING)  # it logs every dictionary that it loads

PAD, UNK = 0, 1
SPECIAL = ("<PAD>", "<UNK>")
NOISE = re.compile(r"https?://\S+|//@\S+|@[\w-]+|回复")


@dataclass(frozen=True)
class TextCodec:
    """Words of a text, at most `max_words`, without `stop_words`; `vocabulary` starts with <PAD> and <UNK>.

    A text has at most `max_characters` characters.
    """

    vocabulary: Sequence[str]
    stop_words: Sequence[str]
    max_words: int
    max_characters: int
    padding: ClassVar[int] = PAD  # fills the shorter texts of a batch
    blank: ClassVar[int] = PAD  # explanations begin with it

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        stop_words: Sequence[str],
        max_words: int,
        max_characters: int,
        min_count: int = 2,
    ) -> "TextCodec":
        """Return the codec whose vocabulary is every word that occurs at least `min_count` times in `texts`."""
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
        """Fold width (NFKC) and case, and remove links, user names and 回复."""
        return NOISE.sub(" ", unicodedata.normalize("NFKC", text).lower())

    def split(self, text: str) -> list[str]:
        """Return all words of a text, in order, without stop words."""
        words = (word.strip() for word in jieba.cut(self.clean(text)))
        return [word for word in words if word and word not in self._stop_words]

    def prepare_tokens(self, words: Sequence[str]) -> list[str]:
        """Return the words that the network gets: at most `max_words`."""
        return list(words[: self.max_words])

    def words(self, text: str) -> list[str]:
        """Return the words of a text that the network gets."""
        return self.prepare_tokens(self.split(text))

    def numbers(self, words: Sequence[str]) -> Tensor:
        """Return the ids of words, (T,) of int64; <UNK> for no words, so that a text of stop words gets a response."""
        return torch.tensor([self._number_of.get(word, UNK) for word in words] or [UNK])

    def display(self, words: Sequence[str]) -> list[str]:
        """Return the words as explanations show them."""
        return list(words)

    def is_known(self, word: str) -> bool:
        """Return whether the vocabulary has this word; <PAD> and <UNK> are none."""
        return word in self._number_of and word not in SPECIAL
