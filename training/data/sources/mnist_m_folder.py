"""The digits of mnist_m as an ImageFolder, to show users the layout for images of their own."""

from pathlib import Path

import numpy as np
from PIL import Image

from training.data.sources import mnist_m
from training.data.sources.mnist import digits

ORIGIN = f"{mnist_m.ORIGIN}; 1,000 images as PNG files"
LICENCE = mnist_m.LICENCE


def write(folder: Path) -> None:
    """Write train/<digit>/*.png, 80 a class, and test/<digit>/*.png, 20 a class."""
    random = np.random.default_rng(1)
    for split, (images, labels), photos, count in zip(
        ("train", "test"), digits(), (mnist_m.TRAIN_PHOTOS, mnist_m.TEST_PHOTOS), (80, 20), strict=True
    ):
        for digit in range(10):
            place = folder / split / str(digit)
            place.mkdir(parents=True)
            pixels = mnist_m.blend(images[labels == digit][:count], photos, random)
            for number, image in enumerate(pixels.transpose(0, 2, 3, 1)):
                Image.fromarray(image).save(place / f"{number:03}.png")
