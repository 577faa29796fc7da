"""Whole batches out of tensors in memory: no worker processes, no collating item by item."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler

from handlers.codecs.text import PAD

Inputs = Tensor | list[Tensor]
POOL = 50  # batches that are sorted by length together: little padding, still random


class Examples(Dataset[tuple[Tensor, Any]]):
    """Inputs, (N, ...) or N of them (T,) of differing length, and as many targets: (N, ...), or a sequence of whatever
    the task's loss takes."""

    def __init__(self, inputs: Inputs, targets: Tensor | Sequence[Any]) -> None:
        self.inputs = inputs
        self.targets = targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, places: list[int]) -> tuple[Tensor, Any]:
        """The batch of these examples; shorter ones are padded at the end."""
        targets = self.targets[places] if isinstance(self.targets, Tensor) else [self.targets[i] for i in places]
        if isinstance(self.inputs, Tensor):
            return self.inputs[places], targets
        rows = [self.inputs[place] for place in places]
        return pad_sequence(rows, batch_first=True, padding_value=PAD), targets

    @property
    def lengths(self) -> list[int] | None:
        """The length of each input, where they differ."""
        return None if isinstance(self.inputs, Tensor) else [len(row) for row in self.inputs]


class Batches(Sampler[list[int]]):
    """The batches of one rank out of `world`. Shuffled ones depend on the seed and the epoch alone, so that a run
    that is resumed at an epoch goes on as if it had not been stopped; their incomplete last batch is left out."""

    def __init__(self, examples: Examples, size: int, seed: int | None, rank: int = 0, world: int = 1) -> None:
        self.count = len(examples)
        self.lengths = examples.lengths
        self.size = size * world
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(self.count, self.size)
        return whole + (rest > 0) if self.seed is None else max(whole, 1)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches():
            if share := batch[self.rank :: self.world]:
                yield share

    def _batches(self) -> list[list[int]]:
        """The batches of all ranks together."""
        if self.seed is None:
            return self._cut(range(self.count))
        generator = torch.Generator().manual_seed(self.seed * 10_000 + self.epoch)
        order = torch.randperm(self.count, generator=generator).tolist()
        if self.lengths is None:
            return self._cut(order)[: len(self)]
        pool = POOL * self.size
        pools = (
            sorted(order[start : start + pool], key=self.lengths.__getitem__) for start in range(0, len(order), pool)
        )
        batches = self._cut([place for pool in pools for place in pool])[: len(self)]
        return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]

    def _cut(self, order: Sequence[int]) -> list[list[int]]:
        return [list(order[start : start + self.size]) for start in range(0, len(order), self.size)]


def loader(examples: Examples, batches: Sampler[list[int]], pinned: bool = False) -> DataLoader[tuple[Tensor, Any]]:
    """The sampler yields whole batches, so the loader must not batch again. A GPU fetches pinned ones by itself,
    while the processor goes on.

    With a generator of its own it leaves torch's alone: dropout must not depend on when Lightning makes iterators.
    """
    return DataLoader(examples, sampler=batches, batch_size=None, generator=torch.Generator(), pin_memory=pinned)
