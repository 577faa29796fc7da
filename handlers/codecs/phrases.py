"""Codec for text generation: a frequent phrase is one token, a rare word is split into characters.

Unlike in subwords.py, Chinese characters may merge, across words too: 的酒店 is one token. A review has two thirds as
many tokens as characters, and takes as many steps to generate.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from handlers.codecs import byte_pairs
from handlers.codecs.words import PAD, UNK

END = 2  # ends a text, and stands before its first token
SPECIAL = ("<PAD>", "<UNK>", "<END>")
NOT_GENERATED = (PAD, UNK)
SPACE = "\u2581"  # the tokenizer's mark for a space


@dataclass(frozen=True)
class PhraseCodec(byte_pairs.TokenizerCodec):
    """Byte-pair tokens of texts with at most `max_characters` characters."""

    max_characters: int

    @classmethod
    def fit(cls, texts: Iterable[str], vocabulary_size: int, max_characters: int) -> "PhraseCodec":
        """Train a byte-pair tokenizer on `texts`.

        Full-width letters and digits become half-width (NFKC), runs of white space one space; digits and punctuation
        are tokens of their own.
        """
        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNK]))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(prepend_scheme="never"),
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.Punctuation("isolated"),
            ]
        )
        byte_pairs.train_tokenizer(tokenizer, list(texts), vocabulary_size, SPECIAL)
        return cls(tokenizer.to_str(), max_characters)

    def numbers(self, text: str) -> Tensor:
        """Return <END> and the token ids of a text: (1 + T,) of int64."""
        return torch.tensor([END, *self._tokenizer.encode(text).ids])

    def piece(self, number: int) -> str:
        """Return the characters that a token adds to a text."""
        return str(self._tokenizer.id_to_token(number)).replace(SPACE, " ")

    def unknown(self, text: str) -> list[str]:
        """Return the characters that are encoded as <UNK>, each once."""
        encoded = self._tokenizer.encode(text)
        places = [place for number, place in zip(encoded.ids, encoded.offsets, strict=True) if number == UNK]
        return list(dict.fromkeys(text[slice(*place)] for place in places))
