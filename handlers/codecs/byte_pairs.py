"""Byte-pair encoding (Sennrich et al., arXiv:1508.07909): pieces of words, learnt from texts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Tokenizer
from tokenizers.trainers import BpeTrainer

FREQUENT = 2  # how often a character comes at least, or it is unknown


@dataclass(frozen=True)
class BytePairs:
    """What all codecs have whose `tokenizer` is a file of the tokenizers library, as a text."""

    tokenizer: str

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.tokenizer)
        tokenizer.no_padding()  # files of others may ask for both
        tokenizer.no_truncation()
        return tokenizer

    @property
    def size(self) -> int:
        """Of the vocabulary."""
        return int(self._tokenizer.get_vocab_size())


def train(tokenizer: Tokenizer, texts: Sequence[str], size: int, special: Sequence[str]) -> None:
    """Fit a tokenizer of BPE: the same texts give the same one. The library's own WordPiece, and its choice of an
    alphabet, break ties by the order of a hash table, which is another one each time.
    """
    known = alphabet(tokenizer, texts)
    trainer = BpeTrainer(
        vocab_size=size,
        min_frequency=FREQUENT,
        special_tokens=list(special),
        initial_alphabet=known,
        limit_alphabet=len(known),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)


def alphabet(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """The characters that come often enough, as the tokenizer sees them."""
    counts: Counter[str] = Counter()
    for text in texts:
        for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            counts.update(piece)
    return sorted(character for character, count in counts.items() if count >= FREQUENT)
