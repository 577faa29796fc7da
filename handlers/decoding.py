"""Beam search: several beginnings of a translation are kept, the likeliest, and each goes on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from handlers.codecs.subwords import BEGIN, END
from handlers.codecs.text import PAD, UNK

NEVER = (PAD, UNK, BEGIN)  # written
Begin = Callable[[Tensor], list[Tensor]]
Step = Callable[[Tensor, list[Tensor]], tuple[Tensor, list[Tensor], Tensor]]


@dataclass(frozen=True)
class Hypothesis:
    """A translation: its tokens without <END>, its log-probability, divided by its length's penalty, and how much each
    token looked at those of the source, (T, S)."""

    tokens: list[int]
    score: float
    alignment: Tensor


def penalty(length: Tensor, alpha: float) -> Tensor:
    """Of longer texts, which can only be less likely (Wu et al., arXiv:1609.08144, equation 14)."""
    return ((5 + length) / 6) ** alpha


def search(
    begin: Begin, step: Step, source: Tensor, beams: int, longest: Tensor, alpha: float
) -> list[list[Hypothesis]]:
    """source (N, S) -> for each sentence its `beams` best hypotheses, the best first. With one beam it is greedy.

    Finished ones stay among the beams, and go on with padding that costs nothing; so do those that have as many tokens
    as their sentence's `longest` (N,) says. They are compared with longer ones as they are at the end, by the penalised
    score: else the short would drive out the long. `begin` and `step` are a network's, as models/transformer.py has
    them.
    """
    count = len(source)
    state = [part.repeat_interleave(beams, dim=0) for part in begin(source)]
    most = longest.repeat_interleave(beams)  # (N * B,)
    tokens = torch.full((count * beams, 1), BEGIN, device=source.device)
    # At first all beams are the same: one of them counts.
    scores = torch.full((count, beams), float("-inf"), device=source.device)
    scores[:, 0] = 0
    looked: list[Tensor] = []  # a step: (N * B, S)
    over = torch.zeros_like(most, dtype=torch.bool)
    lengths = torch.zeros_like(most)  # with <END>
    while not over.all():
        logits, state, weights = step(tokens[:, -1], state)
        chances = logits.float().index_fill(1, torch.tensor(NEVER, device=source.device), float("-inf")).log_softmax(1)
        chances[over] = float("-inf")
        chances[over, PAD] = 0
        lengths = lengths + ~over
        totals = scores.view(-1, 1) + chances  # (N * B, V)
        best = (totals / penalty(lengths, alpha)[:, None]).view(count, -1).topk(beams, dim=1).indices
        scores = totals.view(count, -1).gather(1, best)
        beam, token = best // logits.shape[1], best % logits.shape[1]
        rows = (torch.arange(count, device=source.device)[:, None] * beams + beam).flatten()
        state, lengths = [part[rows] for part in state], lengths[rows]
        looked = [part[rows] for part in [*looked, weights]]
        tokens = torch.cat([tokens[rows], token.view(-1, 1)], dim=1)
        over = (token.flatten() == END) | (token.flatten() == PAD) | (most < tokens.shape[1])
    alignments = torch.stack(looked, dim=1)  # (N * B, T, S)
    final = scores.flatten() / penalty(lengths, alpha)
    found = [
        hypothesis(row, float(score), aligned)
        for row, score, aligned in zip(tokens[:, 1:], final, alignments, strict=True)
    ]
    return [sorted(found[start : start + beams], key=lambda one: -one.score) for start in range(0, len(found), beams)]


def hypothesis(row: Tensor, score: float, aligned: Tensor) -> Hypothesis:
    """Of its tokens (T,), with <END> and padding, and their alignment (T, S)."""
    tokens = [token for token in row.tolist() if token not in (END, PAD)]
    return Hypothesis(tokens, score, aligned[: len(tokens)])
