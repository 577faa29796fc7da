"""ImageNet's validation images with ReaL labels (Beyer et al., arXiv:2006.07159): several may be right for an image.

google-research/reassessed-imagenet publishes the labels as real.json.
"""

import json
import re
from pathlib import Path

from torchvision.models import ResNet18_Weights

from marina.training.data.dataset import GIVEN, Dataset, FileContents, Format, Split
from marina.training.data.image_files import images_in, unused_files

LABELS_FILE = "real.json"
IMAGE_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.jpe?g", re.IGNORECASE)
FEW = 1_000  # images: one a class; a metric of fewer has a note


def categories() -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes, in the order that networks are trained in."""
    return tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def is_imagenet_real(path: Path) -> bool:
    """Check for the labels, and for images with ImageNet's names beside them or in val/."""
    return (path / LABELS_FILE).is_file() and bool(_images(path))


def read_imagenet_real(path: Path) -> Dataset:
    """Read all images as the test split; the others are empty.

    Targets are tuples of the acceptable classes; images without any are left out, as in the paper. Raises ValueError if
    real.json is no list of lists of class numbers, has no entry for an image, or no label at all.
    """
    names, accepted = categories(), json.loads((path / LABELS_FILE).read_text(encoding="utf-8"))
    files: list[Path] = []
    targets: list[tuple[int, ...]] = []
    images = _images(path)
    for number, file in sorted(images.items()):
        if not isinstance(accepted, list) or not 0 < number <= len(accepted):
            raise ValueError(f"{path / LABELS_FILE} has no labels for {file.name}; expected a list with one entry each")
        labels = accepted[number - 1]
        if not isinstance(labels, list) or not all(label in range(len(names)) for label in labels):
            raise ValueError(f"{path / LABELS_FILE}: {labels!r} for {file.name}; expected numbers from 0 to 999")
        if labels:
            files.append(file)
            targets.append(tuple(labels))
    if not files:
        raise ValueError(f"{path / LABELS_FILE} has no label for any of {len(images)} images")
    test, empty = Split(FileContents(files), targets), Split([], [])
    return Dataset(
        empty,
        empty,
        test,
        labels=names,
        splits={"train": "empty", "validation": "empty", "test": GIVEN},
        unused=unused_files(path, test, also=[path / LABELS_FILE]),
        note=f"{len(files)} images are too few to compare networks by" if len(files) < FEW else "",
    )


def _images(path: Path) -> dict[int, Path]:
    """The images by their number, which is counted from 1."""
    named = ((IMAGE_NAME.fullmatch(file.name), file) for folder in (path, path / "val") for file in images_in(folder))
    return {int(name[1]): file for name, file in named if name}


FORMATS = (
    Format(
        "imagenet_real",
        "ImageNet's validation images with ReaL labels: ILSVRC2012_val_00000001.JPEG and so on, and real.json",
        is_imagenet_real,
        read_imagenet_real,
    ),
)
