"""Beam search: the likeliest partial translations are kept and extended, a token at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from handlers.codecs.subwords import BEGIN, END
from handlers.codecs.words import PAD, UNK

EXCLUDED_TOKENS = (PAD, UNK, BEGIN)  # never generated
Begin = Callable[[Tensor], list[Tensor]]
Step = Callable[[Tensor, list[Tensor]], tuple[Tensor, list[Tensor], Tensor]]


@dataclass(frozen=True)
class Hypothesis:
    """A translation: its tokens without <END>, its score and its attention to the source's tokens, (T, S).

    The score is the log-probability divided by the length penalty.
    """

    tokens: list[int]
    score: float
    alignment: Tensor


def length_penalty(length: Tensor, alpha: float) -> Tensor:
    """Return the divisor for texts of this length (Wu et al., arXiv:1609.08144, equation 14).

    Log-probabilities only fall with length; the divisor offsets it, the more the larger `alpha`.
    """
    return ((5 + length) / 6) ** alpha


def beam_search(
    begin: Begin, step: Step, source: Tensor, beams: int, longest: Tensor, alpha: float
) -> list[list[Hypothesis]]:
    """Return the `beams` best hypotheses of each sentence of source (N, S), the best first. One beam is greedy search.

    Finished hypotheses stay among the beams and are extended with padding at no cost; so are those with `longest` (N,)
    tokens. Hypotheses are always compared by the penalized score, as at the end: otherwise short ones would displace
    long ones. `begin` and `step` are methods of a network, such as models/transformer.py.
    """
    count = len(source)
    state = [part.repeat_interleave(beams, dim=0) for part in begin(source)]
    limits = longest.repeat_interleave(beams)  # (N * B,)
    tokens = torch.full((count * beams, 1), BEGIN, device=source.device)
    # At first all beams are equal: only one of them counts.
    scores = torch.full((count, beams), float("-inf"), device=source.device)
    scores[:, 0] = 0
    alignments: list[Tensor] = []  # (N * B, S) per step
    finished = torch.zeros_like(limits, dtype=torch.bool)
    lengths = torch.zeros_like(limits)  # with <END>
    while not finished.all():
        logits, state, weights = step(tokens[:, -1], state)
        log_probabilities = (
            logits.float()
            .index_fill(1, torch.tensor(EXCLUDED_TOKENS, device=source.device), float("-inf"))
            .log_softmax(1)
        )
        log_probabilities[finished] = float("-inf")
        log_probabilities[finished, PAD] = 0
        lengths = lengths + ~finished
        totals = scores.view(-1, 1) + log_probabilities  # (N * B, V)
        best = (totals / length_penalty(lengths, alpha)[:, None]).view(count, -1).topk(beams, dim=1).indices
        scores = totals.view(count, -1).gather(1, best)
        beam, token = best // logits.shape[1], best % logits.shape[1]
        chosen = (torch.arange(count, device=source.device)[:, None] * beams + beam).flatten()
        state, lengths = [part[chosen] for part in state], lengths[chosen]
        alignments = [part[chosen] for part in [*alignments, weights]]
        tokens = torch.cat([tokens[chosen], token.view(-1, 1)], dim=1)
        finished = (token.flatten() == END) | (token.flatten() == PAD) | (limits < tokens.shape[1])
    stacked = torch.stack(alignments, dim=1)  # (N * B, T, S)
    final = scores.flatten() / length_penalty(lengths, alpha)
    found = [
        make_hypothesis(ids, float(score), aligned)
        for ids, score, aligned in zip(tokens[:, 1:], final, stacked, strict=True)
    ]
    return [sorted(found[start : start + beams], key=lambda one: -one.score) for start in range(0, len(found), beams)]


def make_hypothesis(ids: Tensor, score: float, aligned: Tensor) -> Hypothesis:
    """Return the hypothesis of tokens (T,), which include <END> and padding, with their alignment (T, S)."""
    tokens = [token for token in ids.tolist() if token not in (END, PAD)]
    return Hypothesis(tokens, score, aligned[: len(tokens)])
