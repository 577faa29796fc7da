"""MNIST idx: arrays of unsigned bytes in the format of yann.lecun.com/exdb/mnist, gzipped or not."""

import gzip
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from marina.training.data.dataset import Dataset, Format, PngImages, Split, with_validation

NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
UNSIGNED_BYTE = 8  # the third byte of the magic number; the fourth is the number of dimensions


def is_mnist(path: Path) -> bool:
    """Check for a folder with the four files."""
    return path.is_dir() and all(_file(path, name) is not None for names in NAMES.values() for name in names)


def read_mnist(path: Path) -> Dataset:
    """Read the splits of the files; a tenth of the training images is the validation split.

    Raises ValueError if a file is malformed, or if there are not as many labels as images.
    """
    train, test = (_split(path, *names) for names in NAMES.values())
    classes = max(*train.targets, *test.targets) + 1
    return with_validation(train, test, labels=tuple(map(str, range(classes))))


def read_idx(data: bytes) -> NDArray[np.uint8]:
    """Return the array of an idx file of unsigned bytes. Raises ValueError if it is another type, or truncated.

    >>> read_idx(write_idx(np.array([[1, 2, 3]], dtype=np.uint8)))
    array([[1, 2, 3]], dtype=uint8)
    """
    if data[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise ValueError("not an idx file of unsigned bytes")
    start = 4 + 4 * data[3]
    shape = np.frombuffer(data[4:start], dtype=">u4").tolist()
    if len(data) - start != math.prod(shape):
        raise ValueError(f"an idx file of shape {shape} with {len(data) - start} bytes")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape).copy()


def write_idx(array: NDArray[np.uint8]) -> bytes:
    """Return the idx file of an array of unsigned bytes."""
    return bytes([0, 0, UNSIGNED_BYTE, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


def _split(path: Path, images_name: str, labels_name: str) -> Split:
    images, labels = (_read(path, name) for name in (images_name, labels_name))
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ValueError(f"{path}: images of shape {images.shape}, but labels of shape {labels.shape}")
    return Split(PngImages(images[:, None]), labels.tolist())  # (N, H, W) -> (N, 1, H, W)


def _read(path: Path, name: str) -> NDArray[np.uint8]:
    file = _file(path, name)
    assert file is not None
    data = file.read_bytes()
    return read_idx(gzip.decompress(data) if file.suffix == ".gz" else data)


def _file(path: Path, name: str) -> Path | None:
    # Some mirrors use the name train-images.idx3-ubyte.
    for candidate in (name, name.replace("-idx", ".idx"), f"{name}.gz"):
        if (path / candidate).is_file():
            return path / candidate
    return None


FORMATS = (
    Format(
        "mnist_idx",
        "MNIST idx: train-images-idx3-ubyte and its three companions, gzipped or not",
        is_mnist,
        read_mnist,
    ),
)
