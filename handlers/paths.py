"""What speaks for what was read."""

from collections.abc import Callable

import torch
from torch import Tensor


def score(network: Callable[[Tensor], Tensor], logits: Tensor, first: int, last: int) -> Callable[[Tensor], Tensor]:
    """The logarithm of what the network gives to the best path of `logits`, (T, classes), from frame `first` to `last`,
    both included, as a function of lines: (N, 1, H, W) -> (N,).
    """
    frames = torch.arange(first, last + 1, device=logits.device)
    classes = logits.argmax(dim=1)[frames]

    def of(lines: Tensor) -> Tensor:
        log_probabilities: Tensor = network(lines).log_softmax(dim=2)
        return log_probabilities[:, frames, classes].sum(dim=1)

    return of
