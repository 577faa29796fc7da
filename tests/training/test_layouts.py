"""Every layout in its public format, from tiny files made by hand."""

import gzip
import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handlers.codecs.image import ImageCodec
from training import data
from training.data.layouts.mnist_idx import read_idx, write_idx

HOUSE = "0.00632 18.00 2.310 0 0.5380 6.5750 65.20 4.0900 1 296.0 15.30 396.90 4.98 24.00"


def png(value: int, size: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (size, size), value).save(buffer, "PNG")
    return buffer.getvalue()


def write_idx_files(folder: Path, packed: bool) -> None:
    for stem, count in (("train", 20), ("t10k", 4)):
        images = b"\0\0\x08\x03" + struct.pack(">III", count, 28, 28) + bytes(range(count)) * 784
        labels = b"\0\0\x08\x01" + struct.pack(">I", count) + bytes([0, 1] * (count // 2))
        for name, content in ((f"{stem}-images-idx3-ubyte", images), (f"{stem}-labels-idx1-ubyte", labels)):
            file = folder / (f"{name}.gz" if packed else name)
            file.write_bytes(gzip.compress(content) if packed else content)


def python2_batch(pixels: bytes, labels: list[int]) -> bytes:
    """A batch written opcode by opcode as Python 2 and numpy 1 wrote it: byte strings, numpy.core.multiarray."""

    def string(value: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(value)) + value

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n" + string(b"u1") + number(0) + number(1) + b"\x87R"
    dtype += b"(" + number(3) + string(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + string(b"b") + b"\x87R"
    array += b"(" + number(1) + number(len(labels)) + number(3072) + b"\x86" + dtype + b"\x89" + string(pixels) + b"tb"
    listed = b"]" + b"(" + b"".join(number(label) for label in labels) + b"e"
    return b"\x80\x02}(" + string(b"data") + array + string(b"labels") + listed + b"u."


def test_housing_data_is_read_with_a_house_on_one_line_or_on_two(elsewhere):
    for name, house in (("uci", HOUSE), ("statlib", HOUSE.replace(" 1 296.0", "\n  1 296.0"))):
        (elsewhere / name).mkdir()
        (elsewhere / name / "housing.data").write_text("\n".join([house] * 30))
        dataset = data.find(f"./{name}").load()
        assert dataset.train.inputs[0] == [float(number) for number in HOUSE.split()[:-1]]
        assert set(dataset.test.targets) == {24.0}
        assert dataset.columns[-1] == "MEDV"
        assert "Black" in dataset.note


def test_housing_data_with_a_number_missing_is_refused(elsewhere):
    (elsewhere / "housing.data").write_text(HOUSE + "\n" + HOUSE[:-6])
    with pytest.raises(ValueError, match="27 numbers"):
        data.find("housing.data").load()


@pytest.mark.parametrize("packed", [True, False])
def test_mnist_idx_is_read(elsewhere, packed):
    write_idx_files(elsewhere, packed)
    dataset = data.find(".").load()
    assert dataset.sizes == {"train": 18, "validation": 2, "test": 4}
    assert dataset.labels == ("0", "1")
    image = np.array(Image.open(io.BytesIO(dataset.test.inputs[3])))
    assert (image.shape, image.ravel()[:5].tolist()) == ((28, 28), [0, 1, 2, 3, 0])
    assert list(dataset.test.targets) == [0, 1, 0, 1]


def test_idx_files_that_are_cut_short_or_of_another_type_are_refused():
    whole = write_idx(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
    assert read_idx(whole).tolist() == [[[0, 1, 2], [3, 4, 5]]]
    with pytest.raises(ValueError, match="with 5 bytes"):
        read_idx(whole[:-1])
    with pytest.raises(ValueError, match="not an idx file"):
        read_idx(b"\0\0\x0d\x01" + whole[4:])


def test_cifar10_batches_of_python_2_are_read(elsewhere):
    root = elsewhere / "set" / "cifar-10-batches-py"  # as the archive unpacks
    root.mkdir(parents=True)
    pixels = bytes(range(256)) * 12
    for number in range(1, 6):
        (root / f"data_batch_{number}").write_bytes(python2_batch(pixels * 4, [0, 1, 0, 1]))
    (root / "test_batch").write_bytes(python2_batch(pixels * 2, [1, 0]))
    (root / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"cat", b"dog"]}, protocol=2))
    dataset = data.find("./set").load()
    assert (dataset.labels, dataset.sizes["test"], list(dataset.test.targets)) == (("cat", "dog"), 2, [1, 0])
    image = np.array(Image.open(io.BytesIO(dataset.test.inputs[0])))
    assert image.transpose(2, 0, 1).tobytes() == pixels  # planes in the file, pixels in the image


def test_image_folder_with_and_without_splits(elsewhere):
    for label, count in (("cat", 10), ("dog", 20)):
        for number in range(count):
            for split in ("flat", "split/train", "split/test"):
                file = elsewhere / split / label / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(png(number))
    flat, split = data.find("./flat").load(), data.find("./split").load()
    assert flat.labels == split.labels == ("cat", "dog")
    assert flat.sizes == {"train": 21, "validation": 3, "test": 6}
    assert split.sizes == {"train": 27, "validation": 3, "test": 30}
    assert list(flat.test.targets).count(0) == 2  # a fifth of each class
    codec = ImageCodec(size=4, channels=1, mean=(0.5,), std=(0.5,))
    assert codec.pixels(flat.test.inputs[0]).shape == (1, 4, 4)


def test_image_folder_with_a_class_too_small_is_refused(elsewhere):
    for label, count in (("cat", 10), ("dog", 2)):
        for number in range(count):
            file = elsewhere / label / f"{number}.png"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(png(number))
    with pytest.raises(ValueError, match="dog holds 2 images"):
        data.find(".").load()
