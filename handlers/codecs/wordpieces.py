"""Codec for BERT: words, rare ones split into pieces, and every Chinese character a token of its own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from handlers.codecs import byte_pairs

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class WordPieceCodec(byte_pairs.TokenizerCodec):
    """Tokens between [CLS] and [SEP]: at most `max_words` of a text that has at most `max_characters` characters."""

    max_words: int
    max_characters: int
    padding: ClassVar[int] = 0  # [PAD] fills the shorter texts of a batch
    blank: ClassVar[int] = 0  # explanations begin with it

    @classmethod
    def fit(cls, texts: Iterable[str], max_words: int, max_characters: int, size: int = 6_000) -> "WordPieceCodec":
        """Train a tokenizer of `size` tokens on `texts`.

        Case and accents are dropped, and every Chinese character is a word of its own.
        """
        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[1]))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.BertNormalizer(strip_accents=True)]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        byte_pairs.train_tokenizer(tokenizer, list(texts), size, SPECIAL)
        return cls(tokenizer.to_str(), max_words, max_characters)

    def number(self, token: str) -> int:
        """Return the id of a token, or that of [UNK] if the vocabulary lacks it."""
        number = self._tokenizer.token_to_id(token)
        return self._tokenizer.token_to_id(SPECIAL[1]) or 1 if number is None else number

    def token(self, number: int) -> str:
        """Return the token with this id."""
        return str(self._tokenizer.id_to_token(number))

    def split(self, text: str) -> list[str]:
        """Return all tokens of a text, in order."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).tokens)

    def prepare_tokens(self, words: Sequence[str]) -> list[str]:
        """Return the tokens that the network gets: [CLS], at most `max_words` of these, [SEP]."""
        return [SPECIAL[2], *words[: self.max_words], SPECIAL[3]]

    def words(self, text: str) -> list[str]:
        """Return the tokens of a text that the network gets."""
        return self.prepare_tokens(self.split(text))

    def pieces(self, text: str) -> list[tuple[str, tuple[int, int]]]:
        """Return each token with its start and end in the text, without [CLS] and [SEP]."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return list(zip(encoded.tokens, encoded.offsets, strict=True))

    def numbers(self, words: Sequence[str]) -> Tensor:
        """Return the ids of these tokens: (T,) of int64."""
        return torch.tensor([self.number(word) for word in words])

    def display(self, words: Sequence[str]) -> list[str]:
        """Return the tokens as explanations show them."""
        return list(words)

    def is_known(self, word: str) -> bool:
        """Return whether this token is any but [UNK]."""
        return word != "[UNK]"

    def unknown(self, text: str) -> list[str]:
        """Return the parts of a text that are encoded as [UNK], each once."""
        found = [text[start:end] for token, (start, end) in self.pieces(text) if token == "[UNK]"]  # noqa: S105
        return list(dict.fromkeys(found))
