"""A user's own data: a folder of images for each class."""

from pathlib import Path

from PIL import Image


def image_folders(folder: Path, labels: tuple[str, ...] = ("cat", "dog"), count: int = 12, shade: int = 0) -> Path:
    """Write `count` small images of each class; images of another `shade` are other data."""
    for place, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            colour = (80 * place + shade, 7 * number, 40)
            Image.new("RGB", (20 + number, 24), colour).save(folder / label / f"{number}.png")
    return folder
