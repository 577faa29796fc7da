"""Pages with boxes of text: the layout of ICDAR 2013's and 2015's localisation tasks."""

import csv
from pathlib import Path

from training.data.dataset import Dataset, Split, with_validation
from training.data.layouts.image_folder import SUFFIXES
from training.data.lazy import Files

DESCRIPTION = (
    "text pages: train/ and test/, each with images and a gt_<image>.txt for each, in which a line is "
    'x1,y1,x2,y2,"text" (ICDAR 2013, commas or spaces) or x1,y1,x2,y2,x3,y3,x4,y4,text (ICDAR 2015)'
)
ILLEGIBLE = "###"  # ICDAR's word for text that nobody can read: such boxes are left out

Box = list[float]


def matches(path: Path) -> bool:
    """Is it a folder with both splits, each with at least one such file?"""
    return all(next((path / split).rglob("gt_*.txt"), None) is not None for split in ("train", "test"))


def read(path: Path) -> Dataset:
    """The splits of the folders; targets are the boxes of a page, each x1, y1, x2, y2. A tenth of train is for
    validation. Images and gt files may lie in folders of their own.

    Raises ValueError for an image without a gt file, and for a line that is not of the layout.
    """
    train, test = (_split(path / split) for split in ("train", "test"))
    return with_validation(Dataset(train, train, test), stratified=False)


def _split(folder: Path) -> Split:
    images = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    truths = {file.stem: file for file in folder.rglob("gt_*.txt")}
    if missing := [image.name for image in images if f"gt_{image.stem}" not in truths]:
        raise ValueError(f"{folder} has {len(missing)} images without a gt file, such as {missing[0]}")
    return Split(Files(images), [boxes(truths[f"gt_{image.stem}"]) for image in images])


def boxes(file: Path) -> list[Box]:
    """The boxes of a gt file; four corners become the upright box around them."""
    lines = file.read_text(encoding="utf-8-sig").splitlines()  # ICDAR's begin with a byte order mark
    return [box for line in lines if line.strip() and (box := _box(line, file)) is not None]


def _box(line: str, file: Path) -> Box | None:
    delimiter = "," if "," in line.split('"')[0] else " "
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
    numbers = 8 if len(cells) > 8 and all(_is_number(cell) for cell in cells[:8]) else 4
    if len(cells) <= numbers or not all(_is_number(cell) for cell in cells[:numbers]):
        raise ValueError(f"{file}: neither 4 nor 8 coordinates and a text: {line!r}")
    if cells[numbers] == ILLEGIBLE:
        return None
    corners = [float(cell) for cell in cells[:numbers]]
    x, y = corners[0::2], corners[1::2]
    return [min(x), min(y), max(x), max(y)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
