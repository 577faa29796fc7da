"""Image sets for image-to-image translation: unpaired images of two domains, and style images with content images."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from marina.training.data.dataset import ALL_GIVEN, HELD_OUT, SEED, Dataset, FileContents, Format, Split
from marina.training.data.image_files import images_in

DOMAINS = ("A", "B")
DOMAIN_SUFFIXES = {".jpg", ".jpeg", ".png"}
VALIDATION_STRIDE = 10  # every tenth training image of a domain is for validation
MIN_DOMAIN_IMAGES = 2  # so that one is left for training


class DomainImage(NamedTuple):
    """The target of an unpaired image: the index of its domain in DOMAINS, and its class.

    The class is the part of the file name before "_", as in ImageNet's names (n07740461_1002.jpg); "" without one. No
    generator is given the class.
    """

    domain: int
    name: str


def is_unpaired(path: Path) -> bool:
    """Check for the four folders of images: trainA, trainB, testA and testB."""
    return path.is_dir() and all(
        images_in(path / f"{split}{name}", DOMAIN_SUFFIXES) for split in ("train", "test") for name in DOMAINS
    )


def read_unpaired(path: Path) -> Dataset:
    """Read unpaired images of two domains, as in CycleGAN's data sets (apple2orange, horse2zebra, ...).

    Targets are DomainImages. Raises ValueError if a domain has too few training images.
    """
    train = [images_in(path / f"train{name}", DOMAIN_SUFFIXES) for name in DOMAINS]
    for name, files in zip(DOMAINS, train, strict=True):
        if len(files) < MIN_DOMAIN_IMAGES:
            raise ValueError(f"{path / f'train{name}'} holds {len(files)} images; the minimum is {MIN_DOMAIN_IMAGES}")
    return Dataset(
        train=_alternating([[file for i, file in enumerate(files) if i % VALIDATION_STRIDE] for files in train]),
        validation=_alternating([files[::VALIDATION_STRIDE] for files in train]),
        test=_alternating([images_in(path / f"test{name}", DOMAIN_SUFFIXES) for name in DOMAINS]),
        labels=DOMAINS,
        splits={**ALL_GIVEN, "validation": HELD_OUT},
        contents="unpaired images of two domains (A, B)",
    )


def _alternating(domains: Sequence[Sequence[Path]]) -> Split:
    """Alternate between the shuffled domains: the first few images are of both, and of several classes."""
    random = np.random.default_rng(SEED)
    turns = sorted(
        (turn, domain, files[index])
        for domain, files in enumerate(domains)
        for turn, index in enumerate(random.permutation(len(files)).tolist())
    )
    targets = [DomainImage(domain, _class_in_name(file)) for _, domain, file in turns]
    return Split(FileContents([file for _, _, file in turns]), targets)


def _class_in_name(file: Path) -> str:
    name, underscore, _ = file.stem.partition("_")
    return name if underscore else ""


def is_styles(path: Path) -> bool:
    """Check for both folders of images: style and content."""
    return bool(images_in(path / "style") and images_in(path / "content"))


def read_styles(path: Path) -> Dataset:
    """Read style/<name>.png and content/*.png, for style transfer.

    Train holds the style images, whose file names are the labels; validation is empty; test holds the content images,
    with the styles as targets in turn. Raises ValueError if two styles have the same name.
    """
    styles, contents = images_in(path / "style"), images_in(path / "content")
    names = tuple(file.stem for file in styles)
    if len(set(names)) < len(names):
        raise ValueError(f"{path / 'style'} has two images with the same name: {', '.join(names)}")
    train = Split(FileContents(styles), list(range(len(styles))))
    test = Split(FileContents(contents), [i % len(styles) for i in range(len(contents))])
    found = f"{len(styles)} styles ({', '.join(names)})"
    return Dataset(
        train, Split([], []), test, labels=names, splits={**ALL_GIVEN, "validation": "empty"}, contents=found
    )


FORMATS = (
    Format(
        "unpaired",
        "unpaired A/B: images of two domains in trainA/, trainB/, testA/ and testB/",
        is_unpaired,
        read_unpaired,
    ),
    Format(
        "styles",
        "styles: style/<name>.png, whose names are the styles of requests, and content/*.png (or .jpg and the like)",
        is_styles,
        read_styles,
    ),
)
