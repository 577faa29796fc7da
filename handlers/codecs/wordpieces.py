"""Texts as BERT reads them: words, rare ones in pieces, and every Chinese character by itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from handlers.codecs import byte_pairs

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class WordPieceCodec(byte_pairs.BytePairs):
    """A text has at most `max_words` tokens, beside [CLS] and [SEP]."""

    max_words: int
    max_characters: int

    @classmethod
    def fit(cls, texts: Iterable[str], max_words: int, max_characters: int, size: int = 6_000) -> "WordPieceCodec":
        """Upper case and accents are left out, every Chinese character stands by itself."""
        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[1]))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.BertNormalizer(strip_accents=True)]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        byte_pairs.train(tokenizer, list(texts), size, SPECIAL)
        return cls(tokenizer.to_str(), max_words, max_characters)

    def number(self, token: str) -> int:
        """Of a token; that of [UNK] for one that is not there."""
        number = self._tokenizer.token_to_id(token)
        return self._tokenizer.token_to_id(SPECIAL[1]) or 1 if number is None else number

    def token(self, number: int) -> str:
        return str(self._tokenizer.id_to_token(number))

    def split(self, text: str) -> list[str]:
        """All tokens of a text, in order."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).tokens)

    def framed(self, words: Sequence[str]) -> list[str]:
        """What is read of them: [CLS], `max_words` at most, [SEP]."""
        return [SPECIAL[2], *words[: self.max_words], SPECIAL[3]]

    def words(self, text: str) -> list[str]:
        """What is read of a text."""
        return self.framed(self.split(text))

    def pieces(self, text: str) -> list[tuple[str, tuple[int, int]]]:
        """The tokens with where each stands in the text, without [CLS] and [SEP]."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return list(zip(encoded.tokens, encoded.offsets, strict=True))

    def numbers(self, words: Sequence[str]) -> Tensor:
        """(T,) of int64."""
        return torch.tensor([self.number(word) for word in words])

    def knows(self, word: str) -> bool:
        return word != "[UNK]"

    def unknown(self, text: str) -> list[str]:
        """What of the text is read as [UNK], each once."""
        found = [text[start:end] for token, (start, end) in self.pieces(text) if token == "[UNK]"]  # noqa: S105
        return list(dict.fromkeys(found))
