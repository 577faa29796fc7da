"""A text that is being written, a token at a time."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from handlers.codecs.phrases import END, NEVER_WRITTEN
from handlers.sampling import Sampling


@dataclass(frozen=True)
class Wish:
    """A request: `text` and its tokens, <END> first; at most `length` are added."""

    text: str
    tokens: Tensor
    length: int
    sampling: Sampling


class Writing:
    """A text under way: its tokens, the network's state after them, and the logits of the next."""

    def __init__(self, wish: Wish, logits: Tensor, state: Tensor) -> None:
        """logits (T, V): after each token of the beginning; state: after the last."""
        self.wish, self.state, self.logits = wish, state, logits[-1]
        self.added: list[int] = []
        self.generator = wish.sampling.generator()
        right = logits[:-1].log_softmax(dim=1).gather(1, wish.tokens[1:, None])
        self.log_likelihood, self.read = float(right.sum()), len(right)
        self.ended = self.broken = False

    @property
    def done(self) -> bool:
        return self.ended or self.broken or len(self.added) >= self.wish.length

    @property
    def output(self) -> "Writing":
        return self

    def write(self) -> int:
        """Choose the next token, <END> where there can be none any more."""
        if not (self.logits.isfinite().all() and math.isfinite(self.log_likelihood)):
            self.broken = True
            return END
        log_probabilities = self.logits.log_softmax(dim=0)
        allowed = self.logits.index_fill(0, torch.tensor(NEVER_WRITTEN), float("-inf"))
        token = self.wish.sampling.pick(allowed, self.generator)
        self.ended = token == END
        if not self.ended:
            self.added.append(token)
            self.log_likelihood += float(log_probabilities[token])
        return token

    @property
    def perplexity(self) -> float | None:
        """Of the text, the beginning included; None for an empty one."""
        count = self.read + len(self.added)
        return math.exp(-self.log_likelihood / count) if count else None
