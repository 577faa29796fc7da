"""CIFAR-10 batches as Python 2 wrote them, pickles that run code, and the batches that the stand-in writes."""

import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marina.training import data
from marina.training.data.formats.cifar10 import unpickle


def python2_batch(pixels: bytes, labels: list[int]) -> bytes:
    """A batch, opcode by opcode as Python 2 and numpy 1 wrote it: byte strings, numpy.core.multiarray."""

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


def test_other_readers_of_cifar10_accept_the_stand_in():
    found = data.find("mnist_m")
    for encoding, key in (("bytes", b"data"), ("latin1", "data")):  # torchvision reads with latin1
        batch = pickle.loads((found.path / "data_batch_3").read_bytes(), encoding=encoding)
        assert batch[key].shape == (800, 3072)
    meta = pickle.loads((found.path / "batches.meta").read_bytes(), encoding="latin1")
    assert meta["label_names"][7] == "7"


class RunsCode:
    def __reduce__(self):
        return (exec, ("open('harm', 'w')",))


@pytest.mark.parametrize(
    "payload",
    [
        pickle.dumps(RunsCode()),
        pickle.dumps({b"data": RunsCode()}, protocol=2),
        b"cos\nsystem\n(S'touch harm'\ntR.",
        b"cnumpy.testing._private.utils\nrunstring\n(S'open(\"harm\",\"w\")'\nS''\ntR.",
        pickle.dumps(Path("x")),
    ],
)
def test_pickles_that_load_more_than_arrays_are_refused(elsewhere, payload):
    with pytest.raises(pickle.UnpicklingError, match="refused"):
        unpickle(payload)
    assert not (elsewhere / "harm").exists()


def test_arrays_of_objects_are_refused():
    with pytest.raises(pickle.UnpicklingError, match="refused"):
        unpickle(pickle.dumps({b"data": np.array([RunsCode()], dtype=object)}))
