"""Batches from tensors in memory: no worker processes, and no collating item by item.

Images that take more memory than they may are read from disk for each batch, by worker processes.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler

from handlers.codecs.words import PAD

Inputs = Tensor | list[Tensor]
READERS = 4  # processes, at most
BATCHES_PER_POOL = 50  # batches that are sorted by length together: little padding, still random


class Examples(Dataset[tuple[Tensor, Any]]):
    """Encoded examples, indexed by whole batches.

    Inputs are (N, ...), or N tensors (T,) of different lengths. Targets are (N, ...), or a sequence of N of any type
    that the loss of the task accepts.

    >>> Examples([torch.tensor([5, 6, 7]), torch.tensor([8])], torch.tensor([0, 1]))[[0, 1]]
    (tensor([[5, 6, 7],
            [8, 0, 0]]), tensor([0, 1]))
    """

    def __init__(self, inputs: Inputs, targets: Tensor | Sequence[Any]) -> None:
        self.inputs = inputs
        self.targets = targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, indices: list[int]) -> tuple[Tensor, Any]:
        """Return the batch of these examples; shorter inputs are padded at the end."""
        targets = self.targets[indices] if isinstance(self.targets, Tensor) else [self.targets[i] for i in indices]
        if isinstance(self.inputs, Tensor):
            return self.inputs[indices], targets
        rows = [self.inputs[i] for i in indices]
        return pad_sequence(rows, batch_first=True, padding_value=PAD), targets

    @property
    def lengths(self) -> list[int] | None:
        """The length of each input; None if all have the same shape."""
        return None if isinstance(self.inputs, Tensor) else [len(row) for row in self.inputs]


class ReadExamples(Examples):
    """Examples whose inputs are read and encoded for each batch: `encode` takes an input and its target, and returns
    both as tensors, or the target as any other value.
    """

    def __init__(
        self, inputs: Sequence[Any], targets: Sequence[Any], encode: Callable[[Any, Any], tuple[Tensor, Any]]
    ) -> None:
        self.files = inputs
        self.targets = targets
        self.encode = encode

    def __getitem__(self, indices: list[int]) -> tuple[Tensor, Any]:
        return _stacked([self.encode(self.files[i], self.targets[i]) for i in indices])

    @property
    def lengths(self) -> None:
        """None: all inputs have the same shape."""
        return


def encoded(
    inputs: Sequence[Any],
    targets: Sequence[Any],
    encode: Callable[[Any, Any], tuple[Tensor, Any]],
    memory: int | None,
) -> Examples:
    """Return the encoded examples: in memory, or read for each batch if they would take more than `memory` bytes.

    None stands for a quarter of the machine's memory. The batches are the same in both cases.
    """
    if not len(targets):
        return Examples(torch.empty(0), [])
    limit = default_limit() if memory is None else memory
    parts = [part for part in encode(inputs[0], targets[0]) if isinstance(part, Tensor)]
    if sum(part.numel() * part.element_size() for part in parts) * len(targets) > limit:
        return ReadExamples(inputs, targets, encode)
    return Examples(*_stacked([encode(*pair) for pair in zip(inputs, targets, strict=True)]))


def _stacked(rows: Sequence[tuple[Tensor, Any]]) -> tuple[Tensor, Any]:
    targets = [target for _, target in rows]
    stacked = torch.stack(targets) if all(isinstance(target, Tensor) for target in targets) else targets
    return torch.stack([row for row, _ in rows]), stacked


def default_limit() -> int:
    """Return a quarter of the machine's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4


class DistributedBatchSampler(Sampler[list[int]]):
    """Sampler of batches of `size` for one rank of `world`; it shuffles if there is a seed.

    Shuffled batches depend only on the seed and the epoch, so that a run resumed at an epoch continues as if it had
    never stopped. Their incomplete last batch is dropped. Inputs of different lengths are batched with those of
    similar length.
    """

    def __init__(self, examples: Examples, size: int, seed: int | None, rank: int = 0, world: int = 1) -> None:
        self.count = len(examples)
        self.lengths = examples.lengths
        self.size = size * world
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch to shuffle for. Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        complete, rest = divmod(self.count, self.size)
        return complete + (rest > 0) if self.seed is None else max(complete, 1)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._global_batches():
            if share := batch[self.rank :: self.world]:
                yield share

    def _global_batches(self) -> list[list[int]]:
        """The batches of all ranks together."""
        if self.seed is None:
            return self._cut(range(self.count))
        generator = torch.Generator().manual_seed(self.seed * 10_000 + self.epoch)
        order = torch.randperm(self.count, generator=generator).tolist()
        if self.lengths is None:
            return self._cut(order)[: len(self)]
        pool = BATCHES_PER_POOL * self.size
        pools = (
            sorted(order[start : start + pool], key=self.lengths.__getitem__) for start in range(0, len(order), pool)
        )
        batches = self._cut([index for pool in pools for index in pool])[: len(self)]
        return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]

    def _cut(self, order: Sequence[int]) -> list[list[int]]:
        return [list(order[start : start + self.size]) for start in range(0, len(order), self.size)]


def data_loader(
    examples: Examples, batches: Sampler[list[int]], pinned: bool = False
) -> DataLoader[tuple[Tensor, Any]]:
    """Return the loader of the batches that a sampler yields.

    It does not batch again. A GPU copies `pinned` batches asynchronously, while the CPU continues. The loader has its
    own random generator and leaves torch's alone: dropout must not depend on when Lightning creates iterators. Examples
    that are read from disk are read by worker processes.
    """
    workers = min(READERS, os.cpu_count() or 1) if isinstance(examples, ReadExamples) else 0
    return DataLoader(
        examples,
        sampler=batches,
        batch_size=None,
        generator=torch.Generator(),
        pin_memory=pinned,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
