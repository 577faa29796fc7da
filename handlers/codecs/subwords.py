"""Texts as subwords: frequent words are tokens, rare ones fall into parts, and Chinese into characters and words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor

from handlers.codecs import byte_pairs
from handlers.codecs.text import UNK

BEGIN, END = 2, 3
SPECIAL = ("<PAD>", "<UNK>", "<BEGIN>", "<END>")
SPACE = "\u2581"  # what the tokenizer writes for it
HAN = "[\u3400-\u9fff\uf900-\ufaff]"


@dataclass(frozen=True)
class SubwordCodec(byte_pairs.BytePairs):
    """Both languages share the tokenizer: names and numbers stay what they are. A text has at most `max_characters`,
    and a translation at most `max_tokens`.
    """

    max_characters: int
    max_tokens: int

    @classmethod
    def fit(cls, texts: Iterable[str], vocabulary_size: int, max_characters: int, max_tokens: int) -> "SubwordCodec":
        """Byte-pair encoding: digits and Chinese characters stand alone."""
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
        byte_pairs.train(tokenizer, list(texts), vocabulary_size, SPECIAL)
        return cls(tokenizer.to_str(), max_characters, max_tokens)

    def numbers(self, text: str) -> Tensor:
        """(T,) of int64: the tokens and <END>."""
        return torch.tensor([*self._tokenizer.encode(text).ids, END])

    def pieces(self, text: str) -> list[str]:
        """What each of the tokens stands for, <END> left out."""
        return [piece for _, piece in self._encoded(text)]

    def unknown(self, text: str) -> list[str]:
        """What of the text is read as <UNK>, each once."""
        return list(dict.fromkeys(piece for number, piece in self._encoded(text) if number == UNK))

    def _encoded(self, text: str) -> list[tuple[int, str]]:
        """The tokens with what each stands for; an unknown one for what is there in the text."""
        encoded = self._tokenizer.encode(text)
        rows = zip(encoded.ids, encoded.tokens, encoded.offsets, strict=True)
        return [
            (number, text[slice(*place)] if number == UNK else token.replace(SPACE, " ").strip())
            for number, token, place in rows
        ]

    def text(self, numbers: Sequence[int]) -> str:
        """Those of a translation, without <END>."""
        return str(self._tokenizer.decode(list(numbers)))

    def written(self, numbers: Sequence[int]) -> list[str]:
        """What each token adds to the text."""
        texts = [self.text(numbers[:count]) for count in range(len(numbers) + 1)]
        return [after[len(before) :].strip() for before, after in pairwise(texts)]
