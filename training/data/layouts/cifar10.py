"""CIFAR-10, the "python version": pickled batches of 32x32 RGB images."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from training.data.dataset import Dataset, Split, with_validation
from training.data.lazy import Pngs

DESCRIPTION = "CIFAR-10 python batches: data_batch_1 to data_batch_5, test_batch and batches.meta"
META = "batches.meta"
TEST = "test_batch"
# All that the pickle of an array of numbers calls for, before and since numpy 2.
ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads arrays, bytes, text, numbers, lists and dicts; a pickle can run any code otherwise."""

    def find_class(self, module: str, name: str) -> Any:
        """Raises pickle.UnpicklingError for everything that an array does not need."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"refused: the pickle asks for {module}.{name}")
        return super().find_class(module, name)


def unpickle(data: bytes) -> dict[str, Any]:
    """The dict in a pickle of Python 2 or 3, its keys as text; raises pickle.UnpicklingError if it holds more."""
    content = ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
    if not isinstance(content, dict):
        raise pickle.UnpicklingError(f"a {type(content).__name__} where a dict was expected")
    return {_text(key): value for key, value in content.items()}


def matches(path: Path) -> bool:
    """Is it a folder with the batches?"""
    return (path / META).is_file() and (path / TEST).is_file() and bool(_batches(path))


def read(path: Path) -> Dataset:
    """The splits of the files; a tenth of the training images is the validation split."""
    train, test = _split(_batches(path)), _split([path / TEST])
    labels = tuple(_text(name) for name in unpickle((path / META).read_bytes())["label_names"])
    return with_validation(Dataset(train, train, test, labels=labels))


def _split(files: list[Path]) -> Split:
    batches = [unpickle(file.read_bytes()) for file in files]
    pixels = np.concatenate([np.asarray(batch["data"], dtype=np.uint8) for batch in batches])  # (N, 3 * 32 * 32)
    targets = [int(label) for batch in batches for label in batch["labels"]]
    return Split(Pngs(pixels.reshape(-1, 3, 32, 32)), targets)


def _batches(path: Path) -> list[Path]:
    return sorted(path.glob("data_batch_*"))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
