"""MNIST idx files written by hand, and malformed ones."""

import gzip
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marina.training import data
from marina.training.data.formats.mnist_idx import read_idx, write_idx


def write_idx_files(folder: Path, packed: bool) -> None:
    for stem, count in (("train", 20), ("t10k", 4)):
        images = b"\0\0\x08\x03" + struct.pack(">III", count, 28, 28) + bytes(range(count)) * 784
        labels = b"\0\0\x08\x01" + struct.pack(">I", count) + bytes([0, 1] * (count // 2))
        for name, content in ((f"{stem}-images-idx3-ubyte", images), (f"{stem}-labels-idx1-ubyte", labels)):
            file = folder / (f"{name}.gz" if packed else name)
            file.write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [True, False])
def test_mnist_idx_is_read(elsewhere, packed):
    write_idx_files(elsewhere, packed)
    dataset = data.find(".").load()
    assert dataset.sizes == {"train": 18, "validation": 2, "test": 4}
    assert dataset.labels == ("0", "1")
    image = np.array(Image.open(io.BytesIO(dataset.test.inputs[3])))
    assert (image.shape, image.ravel()[:5].tolist()) == ((28, 28), [0, 1, 2, 3, 0])
    assert list(dataset.test.targets) == [0, 1, 0, 1]


def test_idx_files_that_are_truncated_or_of_another_type_are_refused():
    whole = write_idx(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
    assert read_idx(whole).tolist() == [[[0, 1, 2], [3, 4, 5]]]
    with pytest.raises(ValueError, match="with 5 bytes"):
        read_idx(whole[:-1])
    with pytest.raises(ValueError, match="not an idx file"):
        read_idx(b"\0\0\x0d\x01" + whole[4:])
