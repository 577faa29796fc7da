"""Images -> objects with masks; requests are those of a detector."""

import torch
from torch import Tensor

from tests.tasks.object_detection import BAD, EXPORTED, GOOD, facts, inputs, numbers

__all__ = ["BAD", "EXPORTED", "GOOD", "facts", "inputs", "loss", "numbers"]


def loss(network, batch) -> Tensor:
    """Return the training loss, with one object in each image except the first, which has none."""
    masks = torch.zeros(1, *batch.shape[-2:], dtype=torch.uint8)
    masks[:, 30:80, 20:60] = 1
    one = {"boxes": torch.tensor([[20.0, 30, 60, 80]]), "labels": torch.tensor([3]), "masks": masks}
    targets = [one for _ in batch]
    targets[0] = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "masks": masks[:0]}
    return torch.stack(list(network.losses(batch, targets).values())).sum()
