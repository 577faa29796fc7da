"""Byte-pair encoding (Sennrich et al., arXiv:1508.07909): subwords that are learned from texts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Tokenizer
from tokenizers.trainers import BpeTrainer

MIN_COUNT = 2  # occurrences of a character, at least; a rarer one is unknown


@dataclass(frozen=True)
class TokenizerCodec:
    """Base of the codecs whose `tokenizer` is a tokenizer.json of the tokenizers library, as text."""

    tokenizer: str

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.tokenizer)
        tokenizer.no_padding()  # imported files may ask for both
        tokenizer.no_truncation()
        return tokenizer

    @property
    def size(self) -> int:
        """Number of tokens in the vocabulary."""
        return int(self._tokenizer.get_vocab_size())


def train_tokenizer(tokenizer: Tokenizer, texts: Sequence[str], size: int, special: Sequence[str]) -> None:
    """Train a BPE tokenizer in place, to at most `size` tokens, of which `special` are the first.

    The same texts give the same tokenizer. The library's own WordPiece, and its choice of an alphabet, break ties by
    the order of a hash table, which differs from run to run.
    """
    known = alphabet(tokenizer, texts)
    trainer = BpeTrainer(
        vocab_size=size,
        min_frequency=MIN_COUNT,
        special_tokens=list(special),
        initial_alphabet=known,
        limit_alphabet=len(known),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)


def alphabet(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """Return the characters that occur at least MIN_COUNT times after normalization, sorted."""
    counts: Counter[str] = Counter()
    for text in texts:
        for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            counts.update(piece)
    return sorted(character for character, count in counts.items() if count >= MIN_COUNT)
