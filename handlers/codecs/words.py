"""Codec for texts as ids of words; jieba segments Chinese into words."""

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

PAD, UNK = 0, 1  # ids of the tokens in SPECIAL
SPECIAL = ("<PAD>", "<UNK>")
# Links, and what Weibo adds to a text: reposts ("//@user"), mentions ("@user") and replies ("回复").
NOISE = re.compile(r"https?://\S+|//@\S+|@[\w-]+|回复")


@dataclass(frozen=True)
class TextCodec:
    """Vocabulary, and what is left of a text: at most its first `max_words` words, without `stop_words`.

    The id of a word is its index in `vocabulary`, which starts with <PAD> and <UNK>. A text of more than
    `max_characters` characters is rejected by the handler, which checks that.
    """

    vocabulary: Sequence[str]
    stop_words: Sequence[str]
    max_words: int
    max_characters: int
    padding: ClassVar[int] = PAD  # id that fills up the shorter texts of a batch
    blank: ClassVar[int] = PAD  # id of the baseline text of explanations (integrated gradients)

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
        unfitted = cls([], stop_words, max_words, max_characters)
        counts = Counter(word for text in texts for word in unfitted.words(text))
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
        """Return the ids of words, (T,) of int64; one <UNK> for no words, so that a text of stop words is valid."""
        return torch.tensor([self._number_of.get(word, UNK) for word in words] or [UNK])

    def display(self, words: Sequence[str]) -> list[str]:
        """Return the words as explanations show them: unchanged, as other codecs have tokens that are not readable."""
        return list(words)

    def is_known(self, word: str) -> bool:
        """Return whether the vocabulary has this word; <PAD> and <UNK> are no words."""
        return word in self._number_of and word not in SPECIAL
