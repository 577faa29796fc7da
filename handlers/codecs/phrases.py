"""Texts as the pieces that they often repeat: a frequent phrase is one token, a rare word is read by its characters.

Unlike in subwords.py, Chinese characters may join, across words too: 的酒店 is one token. A review is two thirds as
many tokens as characters, and is written in as many steps.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from handlers.codecs import byte_pairs
from handlers.codecs.text import PAD, UNK

END = 2  # of a text; before its first token, too
SPECIAL = ("<PAD>", "<UNK>", "<END>")
NEVER_WRITTEN = (PAD, UNK)
SPACE = "\u2581"  # what the tokenizer writes for it


@dataclass(frozen=True)
class PhraseCodec(byte_pairs.BytePairs):
    """A text has at most `max_characters`."""

    max_characters: int

    @classmethod
    def fit(cls, texts: Iterable[str], vocabulary_size: int, max_characters: int) -> "PhraseCodec":
        """Byte-pair encoding; full-width letters and digits are read as usual ones (NFKC), spaces as one, and digits
        and punctuation stand alone."""
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
        byte_pairs.train(tokenizer, list(texts), vocabulary_size, SPECIAL)
        return cls(tokenizer.to_str(), max_characters)

    def numbers(self, text: str) -> Tensor:
        """<END> and the tokens: (1 + T,) of int64."""
        return torch.tensor([END, *self._tokenizer.encode(text).ids])

    def piece(self, number: int) -> str:
        """What a token adds to a text."""
        return str(self._tokenizer.id_to_token(number)).replace(SPACE, " ")

    def unknown(self, text: str) -> list[str]:
        """The characters that are read as <UNK>, each once."""
        encoded = self._tokenizer.encode(text)
        places = [place for number, place in zip(encoded.ids, encoded.offsets, strict=True) if number == UNK]
        return list(dict.fromkeys(text[slice(*place)] for place in places))
