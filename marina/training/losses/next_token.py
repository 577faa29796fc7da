"""Next-token prediction: loss and perplexity of networks that generate text."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torchmetrics.text import Perplexity

from handlers.codecs.words import PAD


class NextToken(Perplexity):
    """Perplexity with the arguments that a task's metric receives."""

    def __init__(self) -> None:
        super().__init__(ignore_index=PAD)

    def update(self, preds: Tensor, target: Sequence[Tensor]) -> None:  # type: ignore[override]
        expected = padded(target, preds)
        super().update(preds[:, : expected.shape[1]], expected)


def next_token_loss(outputs: Tensor, targets: Sequence[Tensor], smoothing: float = 0.0) -> Tensor:
    """Return the cross entropy of logits (N, T, V) with N targets of (T,) or shorter: a mean over tokens."""
    expected = padded(targets, outputs)
    logits = outputs[:, : expected.shape[1]].flatten(0, 1)  # (N * T, V): with V last it takes half of the time
    return cross_entropy(logits, expected.flatten(), ignore_index=PAD, label_smoothing=smoothing)


def padded(targets: Sequence[Tensor], outputs: Tensor) -> Tensor:
    """Return N targets of (T,) or shorter as (N, T), on the device of the outputs."""
    expected: Tensor = pad_sequence(list(targets), batch_first=True, padding_value=PAD)
    return expected.to(outputs.device, torch.int64)
