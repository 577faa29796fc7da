"""Unpaired images of two domains, as CycleGAN's data sets (apple2orange, horse2zebra, ...) have them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.data.dataset import SEED, Dataset, Split
from training.data.lazy import Files

DESCRIPTION = "unpaired A/B: images of two domains in trainA/, trainB/, testA/ and testB/"
DOMAINS = ("A", "B")
SUFFIXES = {".jpg", ".jpeg", ".png"}
NTH = 10  # every tenth training image of a domain is for validation
FEWEST = 2  # so that one is left to train on


class Origin(NamedTuple):
    """Of an image: the place of its domain among DOMAINS, and its class, which is what its file's name has before "_",
    as ImageNet's have it (n07740461_1002.jpg); "" where there is none. No generator sees the class."""

    domain: int
    name: str


def matches(path: Path) -> bool:
    """Is it a folder with the four folders of images?"""
    return path.is_dir() and all(_images(path / f"{split}{name}") for split in ("train", "test") for name in DOMAINS)


def read(path: Path) -> Dataset:
    """The three splits. Raises ValueError if there are too few images."""
    train = [_images(path / f"train{name}") for name in DOMAINS]
    for name, files in zip(DOMAINS, train, strict=True):
        if len(files) < FEWEST:
            raise ValueError(f"{path / f'train{name}'} holds {len(files)} images; {FEWEST} is the least")
    return Dataset(
        train=_split([[file for place, file in enumerate(files) if place % NTH] for files in train]),
        validation=_split([files[::NTH] for files in train]),
        test=_split([_images(path / f"test{name}") for name in DOMAINS]),
        labels=DOMAINS,
    )


def _split(domains: Sequence[Sequence[Path]]) -> Split:
    """The domains in turns, each shuffled: the first few images of a split are of both, and of several classes."""
    random = np.random.default_rng(SEED)
    turns = sorted(
        (turn, domain, files[place])
        for domain, files in enumerate(domains)
        for turn, place in enumerate(random.permutation(len(files)).tolist())
    )
    return Split(Files([file for _, _, file in turns]), [Origin(domain, _name(file)) for _, domain, file in turns])


def _name(file: Path) -> str:
    name, underscore, _ = file.stem.partition("_")
    return name if underscore else ""


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
