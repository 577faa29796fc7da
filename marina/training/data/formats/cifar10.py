"""CIFAR-10, the "python version": pickled batches of 32x32 RGB images.

A pickle can run any code on load, so only the classes that arrays need are unpickled.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from marina.training.data.dataset import Dataset, Format, PngImages, Split, with_validation

META = "batches.meta"
TEST = "test_batch"
# The globals in the pickle of a numeric array, before and since numpy 2.
ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler of arrays, bytes, text, numbers, lists and dicts."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a global that arrays need. Raises pickle.UnpicklingError for any other."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"refused: the pickle loads {module}.{name}, which arrays do not need")
        return super().find_class(module, name)


def unpickle(data: bytes) -> dict[str, Any]:
    """Return the dict in a pickle of Python 2 or 3, its keys as text.

    Raises pickle.UnpicklingError if it holds another type, or an object that is neither an array nor plain data.
    """
    content = ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
    if not isinstance(content, dict):
        raise pickle.UnpicklingError(f"refused: a {type(content).__name__}, expected a dict")
    return {_text(key): value for key, value in content.items()}


def is_cifar10(path: Path) -> bool:
    """Check for a folder with the batches."""
    return (path / META).is_file() and (path / TEST).is_file() and bool(_batches(path))


def read_cifar10(path: Path) -> Dataset:
    """Read the splits of the files; a tenth of the training images is the validation split."""
    train, test = _split(_batches(path)), _split([path / TEST])
    labels = tuple(_text(name) for name in unpickle((path / META).read_bytes())["label_names"])
    return with_validation(train, test, labels=labels)


def _split(files: list[Path]) -> Split:
    batches = [unpickle(file.read_bytes()) for file in files]
    pixels = np.concatenate([np.asarray(batch["data"], dtype=np.uint8) for batch in batches])  # (N, 3 * 32 * 32)
    targets = [int(label) for batch in batches for label in batch["labels"]]
    return Split(PngImages(pixels.reshape(-1, 3, 32, 32)), targets)


def _batches(path: Path) -> list[Path]:
    return sorted(path.glob("data_batch_*"))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


FORMATS = (
    Format(
        "cifar10",
        "CIFAR-10 python batches: data_batch_1 to data_batch_5, test_batch and batches.meta",
        is_cifar10,
        read_cifar10,
    ),
)
