"""What every network that writes is taught by: the next token."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torchmetrics.text import Perplexity

from handlers.codecs.text import PAD


class NextToken(Perplexity):
    """The perplexity, which takes what every metric of a task takes."""

    def __init__(self) -> None:
        super().__init__(ignore_index=PAD)

    def update(self, preds: Tensor, target: Sequence[Tensor]) -> None:  # type: ignore[override]
        wanted = padded(target, preds)
        super().update(preds[:, : wanted.shape[1]], wanted)


def loss(outputs: Tensor, targets: Sequence[Tensor], smoothing: float = 0.0) -> Tensor:
    """Cross entropy of logits (N, T, V) with N targets of (T,) or shorter: a mean over tokens."""
    wanted = padded(targets, outputs)
    logits = outputs[:, : wanted.shape[1]].flatten(0, 1)  # (N * T, V): with V last it takes half of the time
    return cross_entropy(logits, wanted.flatten(), ignore_index=PAD, label_smoothing=smoothing)


def padded(targets: Sequence[Tensor], outputs: Tensor) -> Tensor:
    """N of (T,) -> (N, T), where the outputs are."""
    wanted: Tensor = pad_sequence(list(targets), batch_first=True, padding_value=PAD)
    return wanted.to(outputs.device, torch.int64)
