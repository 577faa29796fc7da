"""Codec for translation: frequent words are tokens, rare ones are split, and so is Chinese into characters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor

from handlers.codecs import byte_pairs
from handlers.codecs.words import UNK

BEGIN, END = 2, 3
SPECIAL = ("<PAD>", "<UNK>", "<BEGIN>", "<END>")
SPACE = "\u2581"  # the tokenizer's mark for a space
HAN = "[\u3400-\u9fff\uf900-\ufaff]"


@dataclass(frozen=True)
class SubwordCodec(byte_pairs.TokenizerCodec):
    """Byte-pair tokens that both languages share, so that names and numbers stay as they are.

    A text has at most `max_characters` characters, a source and a target at most `max_tokens` tokens.
    """

    max_characters: int
    max_tokens: int

    @classmethod
    def fit(cls, texts: Iterable[str], vocabulary_size: int, max_characters: int, max_tokens: int) -> "SubwordCodec":
        """Train a byte-pair tokenizer on `texts`, in which digits and Chinese characters are tokens of their own."""
        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNK]))
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(prepend_scheme="never"),
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.Split(Regex(HAN), "isolated"),
                pre_tokenizers.Punctuation("isolated"),
            ]
        )
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
        byte_pairs.train_tokenizer(tokenizer, list(texts), vocabulary_size, SPECIAL)
        return cls(tokenizer.to_str(), max_characters, max_tokens)

    def numbers(self, text: str) -> Tensor:
        """Return the token ids of a text and <END>: (T,) of int64."""
        return torch.tensor([*self._tokenizer.encode(text).ids, END])

    def pieces(self, text: str) -> list[str]:
        """Return the text of each token, without <END>."""
        return [piece for _, piece in self._encoded(text)]

    def unknown(self, text: str) -> list[str]:
        """Return the parts of a text that are encoded as <UNK>, each once."""
        return list(dict.fromkeys(piece for number, piece in self._encoded(text) if number == UNK))

    def _encoded(self, text: str) -> list[tuple[int, str]]:
        """Return the id and the text of each token; the text of an unknown one is the part that it covers."""
        encoded = self._tokenizer.encode(text)
        triples = zip(encoded.ids, encoded.tokens, encoded.offsets, strict=True)
        return [
            (number, text[slice(*place)] if number == UNK else token.replace(SPACE, " ").strip())
            for number, token, place in triples
        ]

    def text(self, numbers: Sequence[int]) -> str:
        """Return the text of a translation's token ids, which are without <END>."""
        return str(self._tokenizer.decode(list(numbers)))

    def token_texts(self, numbers: Sequence[int]) -> list[str]:
        """Return the characters that each token adds to the text of `text`."""
        texts = [self.text(numbers[:count]) for count in range(len(numbers) + 1)]
        return [after[len(before) :].strip() for before, after in pairwise(texts)]
