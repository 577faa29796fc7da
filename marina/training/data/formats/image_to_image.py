"""Image sets for image-to-image translation: unpaired images of two domains, and style images with content images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from marina.training.data.dataset import ALL_GIVEN, GIVEN, HELD_OUT, SEED, Dataset, FileContents, Format, Split
from marina.training.data.image_files import images_in, split_folders, unused_files

DOMAINS = ("A", "B")
EXPECTED = "expected trainA/, trainB/, testA/ and testB/, or train/A/, train/B/, test/A/ and test/B/"
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
    domains = {split: [path / f"{split}{name}" for name in DOMAINS] for split in ("train", "test")}
    return _unpaired(path, domains)


def read_domain_folders(path: Path) -> Dataset:
    """Read the same from train/A, train/B, test/A and test/B, in any case; val/A and val/B are used if given.

    Raises ValueError if another folder than val/ is missing.
    """
    folders = split_folders(path)
    if missing := [split for split in ("train", "test") if split not in folders]:
        raise ValueError(f"{path} has no {missing[0]} split; {EXPECTED}")
    return _unpaired(path, {split: [_domain(folder, name) for name in DOMAINS] for split, folder in folders.items()})


def _domain(folder: Path, name: str) -> Path:
    found = next((one for one in sorted(folder.iterdir()) if one.name.upper() == name), folder / name)
    if not images_in(found, DOMAIN_SUFFIXES):
        raise ValueError(f"{folder} has no images in {name}/; {EXPECTED}")
    return found


def _unpaired(path: Path, domains: Mapping[str, Sequence[Path]]) -> Dataset:
    """The data set of the folders of A and B of each split; without validation, it is held out from train."""
    files = {split: [images_in(folder, DOMAIN_SUFFIXES) for folder in folders] for split, folders in domains.items()}
    for folder, images in zip(domains["train"], files["train"], strict=True):
        if len(images) < MIN_DOMAIN_IMAGES:
            raise ValueError(f"{folder} holds {len(images)} images; the minimum is {MIN_DOMAIN_IMAGES}")
    given = "validation" in files
    if not given:
        files["validation"] = [images[::VALIDATION_STRIDE] for images in files["train"]]
        files["train"] = [[file for i, file in enumerate(images) if i % VALIDATION_STRIDE] for images in files["train"]]
    train, validation, test = (_alternating(files[split]) for split in ALL_GIVEN)
    return Dataset(
        train,
        validation,
        test,
        labels=DOMAINS,
        splits={**ALL_GIVEN, "validation": GIVEN if given else HELD_OUT},
        unused=unused_files(path, train, validation, test),
        contents=f"unpaired images of two domains ({', '.join(DOMAINS)})",
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
    unused = unused_files(path, train, test)
    return Dataset(
        train,
        Split([], []),
        test,
        labels=names,
        splits={**ALL_GIVEN, "validation": "empty"},
        contents=found,
        unused=unused,
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
