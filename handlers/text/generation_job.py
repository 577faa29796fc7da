"""The generation of a text, a token at a time."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from handlers.codecs.phrases import END, NOT_GENERATED
from handlers.text.token_sampling import Sampling


@dataclass(frozen=True)
class GenerationInput:
    """A prompt, `text` and its `tokens` (<END> first), to which at most `length` tokens are added."""

    text: str
    tokens: Tensor
    length: int
    sampling: Sampling


class GenerationJob:
    """A running generation: the new tokens, the network's state after them, and the logits of the next token.

    `drawn` is the token of a step that is not complete: a step that fails and is tried again draws no other one.
    """

    def __init__(self, prompt: GenerationInput, logits: Tensor, state: Tensor) -> None:
        """Begin with the logits (T, V) after each token of the prompt and the state after the last."""
        self.prompt, self.state, self.logits = prompt, state, logits[-1]
        self.added: list[int] = []
        self.generator = prompt.sampling.generator()
        likelihoods = logits[:-1].log_softmax(dim=1).gather(1, prompt.tokens[1:, None])
        self.log_likelihood, self.prompt_count = float(likelihoods.sum()), len(likelihoods)
        self.ended = self.not_finite = False
        self.drawn: int | None = None

    @property
    def done(self) -> bool:
        """State of the job: no token is to be added."""
        return self.ended or self.not_finite or len(self.added) >= self.prompt.length

    @property
    def output(self) -> "GenerationJob":
        """The job itself: `encode` reads its tokens."""
        return self

    def next_token(self) -> int:
        """Sample the next token and add it, unless it is <END>; <END> if the logits are not finite."""
        if self.drawn is None:
            self.drawn = self._draw()
        return self.drawn

    def _draw(self) -> int:
        if not (self.logits.isfinite().all() and math.isfinite(self.log_likelihood)):
            self.not_finite = True
            return END
        log_probabilities = self.logits.log_softmax(dim=0)
        allowed = self.logits.index_fill(0, torch.tensor(NOT_GENERATED), float("-inf"))
        token = self.prompt.sampling.sample(allowed, self.generator)
        self.ended = token == END
        if not self.ended:
            self.added.append(token)
            self.log_likelihood += float(log_probabilities[token])
        return token

    @property
    def perplexity(self) -> float | None:
        """Perplexity of the text, prompt included; None for an empty text."""
        count = self.prompt_count + len(self.added)
        return math.exp(-self.log_likelihood / count) if count else None
