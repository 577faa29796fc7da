"""Masks as they lie on disk: PNGs in which a pixel's value is the number of its class."""

import io
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BORDER = 255  # of an object, or what nobody can tell: it counts neither for nor against an answer


def mask_of(data: bytes) -> NDArray[np.uint8]:
    """The bytes of a PNG with a palette, or a grey one -> (H, W). Raises ValueError for any other image."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        if image.mode not in ("P", "L"):
            raise ValueError(f"a mask of mode {image.mode}, which has colours in the place of classes")
        return np.array(image)


def check(masks: Iterable[tuple[Path, Set[str]]], labels: Sequence[str]) -> None:
    """Do these labels fit the numbers in the masks? With each mask come the labels that are known to be in its image,
    if any are.

    Raises ValueError for a number beyond the labels, and if one that is in masks is mostly not known of their images.
    """
    seen, known = Counter[str](), Counter[str]()
    for file, names in masks:
        try:
            numbers = set(np.unique(mask_of(file.read_bytes())).tolist()) - {0, BORDER}
        except (OSError, ValueError) as fault:
            raise ValueError(f"{file}: {fault}") from fault
        if beyond := [number for number in sorted(numbers) if number >= len(labels)]:
            raise ValueError(
                f"{file} has class {beyond[0]}, but the last of the names is {len(labels) - 1}, {labels[-1]}"
            )
        if names:
            here = {labels[number] for number in numbers}
            seen.update(here)
            known.update(here & names)
    if doubtful := [label for label, count in seen.items() if 2 * known[label] < count]:
        raise ValueError(f"most masks with class {labels.index(doubtful[0])} are of images without a {doubtful[0]!r}")
