"""Data sets in memory: splits, labels, sequences that load lazily, and the interface of a format.

Every format yields the same type: three splits of what clients would send, with the right answers.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from handlers.codecs.image import png

SEED = 0  # of every split that a format does not fix itself
SOURCE_FILE = "SOURCE.json"  # in the folder of a stand-in: its origin, its licence, and its checksum
VALIDATION_SHARE = 0.1  # of the training examples
GIVEN = "given"  # a split of the files themselves
HELD_OUT = "held out"  # taken from train, or from the whole set
ALL_GIVEN = {"train": GIVEN, "validation": GIVEN, "test": GIVEN}
# Where test has no ground truth, val is for testing.
VAL_FOR_TEST = {"train": GIVEN, "validation": HELD_OUT, "test": "given as val"}
UNDIVIDED = {"train": "rest", "validation": HELD_OUT, "test": HELD_OUT}  # files without splits
Value = TypeVar("Value")


class LazySequence(Sequence[Value]):
    """A sequence that makes each item on access, so that a large data set need not fit into memory."""

    @abstractmethod
    def item(self, index: int) -> Value:
        """Return the item at `index`, which is in range."""

    @overload
    def __getitem__(self, index: int) -> Value: ...
    @overload
    def __getitem__(self, index: slice) -> list[Value]: ...
    def __getitem__(self, index: int | slice) -> Value | list[Value]:
        if isinstance(index, slice):
            return [self.item(one) for one in range(len(self))[index]]
        return self.item(range(len(self))[index])


class Subset(LazySequence[Any]):
    """The items of another sequence at the given indices."""

    def __init__(self, items: Sequence[Any], indices: Sequence[int]) -> None:
        self.items = items
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def item(self, index: int) -> Any:
        return self.items[self.indices[index]]


class PngImages(LazySequence[bytes]):
    """PNG files, encoded on access from an array of images: (N, C, H, W) of uint8."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def item(self, index: int) -> bytes:
        return png(torch.from_numpy(self.pixels[index]))


class FileContents(LazySequence[bytes]):
    """The contents of files, read on access."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def item(self, index: int) -> bytes:
        return self.paths[index].read_bytes()


@dataclass(frozen=True)
class Split:
    """Inputs and targets of one split.

    `inputs` are what a client sends: the bytes of an image file, a text, a row of numbers. `targets` are the indices
    of the right labels, or the values themselves.

    >>> Split(["good", "bad", "fine"], [1, 0, 1]).select([2, 0]).targets
    [1, 1]
    """

    inputs: Sequence[Any]
    targets: Sequence[Any]

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, indices: Sequence[int]) -> "Split":
        """Return the examples at these indices, in this order."""
        return Split(Subset(self.inputs, indices), [self.targets[index] for index in indices])

    def head(self, count: int) -> "Split":
        """Return the first `count` examples."""
        return self.select(range(min(count, len(self))))


@dataclass(frozen=True)
class Dataset:
    """Three splits with their metadata.

    `labels` are the names of the classes; `columns` those of a table, the target last; `note` is copied into the card.
    `kinds` has the kind of each column of a table but the target, `ignored` the columns that are of no use.
    `splits` is the origin of each split, such as "given" or "held out"; `unused` the number of files that are in none,
    by their kind; `contents` describes what the format's name and the labels do not. `memory` is the number of
    bytes that the encoded images of a split may take (None: a quarter of the machine's).
    """

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    note: str = ""
    splits: Mapping[str, str] = field(default_factory=lambda: dict(ALL_GIVEN))
    unused: Mapping[str, int] = field(default_factory=dict)
    contents: str = ""
    memory: int | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """The number of examples in each split."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}

    def head(self, sizes: Mapping[str, int]) -> "Dataset":
        """Return the first examples of each split, as many as `sizes` gives for it."""
        return replace(self, **{split: getattr(self, split).head(count) for split, count in sizes.items()})


def hold_out(split: Split, share: float, stratified: bool = True) -> tuple[Split, Split]:
    """Divide a split into (remaining, held out), where `share` of the examples is held out.

    The division is the same on every call, and keeps the proportion of the classes if `stratified`. Raises ValueError
    if a class is too small for that.

    >>> remaining, held_out = hold_out(Split(list(range(10)), [0] * 5 + [1] * 5), 0.2)
    >>> len(remaining), sorted(held_out.targets)
    (8, [0, 1])
    """
    remaining, held_out = train_test_split(
        np.arange(len(split)),
        test_size=share,
        random_state=SEED,
        stratify=np.asarray(split.targets) if stratified else None,
    )
    return split.select(remaining.tolist()), split.select(held_out.tolist())


def with_missing_splits(
    given: Mapping[str, Split], test_share: float, stratified: bool = True, **metadata: Any
) -> Dataset:
    """Return the data set of the splits that are given; validation and test, where missing, are held out from train.

    `test_share` of train is for testing, a tenth of the rest for validation. `metadata` are the other members of
    Dataset: labels, columns, note, ... Raises ValueError if a class is too small.
    """
    train, validation, test = (given.get(name) for name in ALL_GIVEN)
    if train is None:
        raise ValueError("no train split")
    if test is None:
        train, test = hold_out(train, test_share, stratified)
    if validation is None:
        train, validation = hold_out(train, VALIDATION_SHARE, stratified)
    origins = {name: GIVEN if name in given else HELD_OUT for name in ALL_GIVEN}
    return Dataset(train, validation, test, **{"splits": origins, **metadata})


def with_validation(train: Split, test: Split, stratified: bool = True, **metadata: Any) -> Dataset:
    """Return the data set of two splits, with a tenth of train as the validation split, as `with_missing_splits`."""
    return with_missing_splits({"train": train, "test": test}, 0, stratified, **metadata)


def divided(everything: Split, test_share: float, stratified: bool = True, **metadata: Any) -> Dataset:
    """Return the data set of examples without splits, as `with_missing_splits`."""
    return with_missing_splits({"train": everything}, test_share, stratified, **metadata, splits=UNDIVIDED)


def with_tags(data: Dataset) -> Dataset:
    """Return a data set of objects with the numbers of the labels in each image, sorted, as its targets."""
    train, validation, test = (
        Split(split.inputs, [sorted(set(target["labels"])) for target in split.targets])
        for split in (data.train, data.validation, data.test)
    )
    return replace(data, train=train, validation=validation, test=test)


@dataclass(frozen=True)
class Format:
    """A public on-disk format and its reader.

    `description` names the files, for the error message about files of no known format. `matches` checks whether a
    path holds this format. `read` loads the data set for all tasks but those in `views`, which read other targets from
    the same files. `tables` has the readers, by task, of formats in which the user names the column to predict.
    """

    name: str
    description: str
    matches: Callable[[Path], bool]
    read: Callable[[Path], Dataset]
    views: Mapping[str, Callable[[Path], Dataset]] = field(default_factory=dict)
    tables: Mapping[str, Callable[[Path, str], Dataset]] = field(default_factory=dict)

    def load(self, path: Path, task: str = "", target: str = "") -> Dataset:
        """Read the data set at `path` as `task` needs it, for predicting the column `target` of a table."""
        if task in self.tables:
            return self.tables[task](path, target)
        return self.views.get(task, self.read)(path)
