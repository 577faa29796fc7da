"""Sequences that make an item when it is asked for, so that a large data set need not lie in memory."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray

from handlers.codecs.image import png

Value = TypeVar("Value")


class Lazy(Sequence[Value]):
    """A sequence that makes each item when it is asked for."""

    @abstractmethod
    def item(self, place: int) -> Value:
        """The item at `place`, which is in range."""

    @overload
    def __getitem__(self, place: int) -> Value: ...
    @overload
    def __getitem__(self, place: slice) -> list[Value]: ...
    def __getitem__(self, place: int | slice) -> Value | list[Value]:
        if isinstance(place, slice):
            return [self.item(one) for one in range(len(self))[place]]
        return self.item(range(len(self))[place])


class View(Lazy[Any]):
    """Some items of another sequence."""

    def __init__(self, items: Sequence[Any], places: Sequence[int]) -> None:
        self.items = items
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def item(self, place: int) -> Any:
        return self.items[self.places[place]]


class Pngs(Lazy[bytes]):
    """PNG files of an array of images: (N, C, H, W) of uint8."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def item(self, place: int) -> bytes:
        return png(torch.from_numpy(self.pixels[place]))


class Files(Lazy[bytes]):
    """The contents of files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def item(self, place: int) -> bytes:
        return self.paths[place].read_bytes()
