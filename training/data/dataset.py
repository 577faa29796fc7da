"""What every layout yields: three splits of what clients would send, and the right answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from training.data.lazy import View

SEED = 0  # of every split that a layout does not fix itself


@dataclass(frozen=True)
class Split:
    """`inputs` as a client sends them (the bytes of an image file, a text, a row of numbers) and `targets`: the
    place of the right label among the labels, or the number itself."""

    inputs: Sequence[Any]
    targets: Sequence[Any]

    def __len__(self) -> int:
        return len(self.targets)

    def pick(self, places: Sequence[int]) -> "Split":
        """The examples at these places, in this order."""
        return Split(View(self.inputs, places), [self.targets[place] for place in places])

    def head(self, count: int) -> "Split":
        """The first `count` examples."""
        return self.pick(range(min(count, len(self))))


@dataclass(frozen=True)
class Dataset:
    """`labels` names the classes; `columns` names those of a table, the target last; `note` goes into the card."""

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    note: str = ""

    @property
    def sizes(self) -> dict[str, int]:
        """How many examples there are in each split."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}

    def head(self, sizes: Mapping[str, int]) -> "Dataset":
        """The first examples of each split, so many as `sizes` says."""
        return replace(self, **{split: getattr(self, split).head(count) for split, count in sizes.items()})


def part(split: Split, share: float, stratified: bool = True) -> tuple[Split, Split]:
    """Take `share` of the examples away: (the rest, those taken), always the same ones, with each class in proportion.

    Raises ValueError if a class is too small for that.
    """
    rest, taken = train_test_split(
        np.arange(len(split)),
        test_size=share,
        random_state=SEED,
        stratify=np.asarray(split.targets) if stratified else None,
    )
    return split.pick(rest.tolist()), split.pick(taken.tolist())


def with_validation(data: Dataset, share: float = 0.1, stratified: bool = True) -> Dataset:
    """The data set with its validation split taken out of train."""
    train, validation = part(data.train, share, stratified)
    return replace(data, train=train, validation=validation)
