"""Pages with their fields: a JSON beside each image, as the public sets of receipts and forms have it."""

import json
from pathlib import Path
from typing import Any

from training.data.dataset import Dataset, Split, with_validation
from training.data.layouts.image_folder import SUFFIXES
from training.data.lazy import Files

DESCRIPTION = (
    'invoices: train/ and test/, each with images and a JSON of the same name for each, {"fields": {"invoice_code": '
    '..., "buyer": {...}, "items": [...]}, "lines": [{"box": [x1, y1, x2, y2], "text": ...}]}'
)


def matches(path: Path) -> bool:
    """Is it a folder with both splits, each with an image and a JSON of the same name?"""
    return all(any(_images(path / split)) for split in ("train", "test"))


def read(path: Path) -> Dataset:
    """The splits of the folders; targets are the JSON's `fields` and `lines`. A tenth of train is for validation. A
    NOTE.txt beside them goes into the card.

    Raises ValueError for an image without a JSON, and for one that is not of the layout.
    """
    train, test = (_split(path / split) for split in ("train", "test"))
    note = path / "NOTE.txt"
    data = Dataset(train, train, test, note=note.read_text(encoding="utf-8") if note.is_file() else "")
    return with_validation(data, stratified=False)


def _images(folder: Path) -> list[Path]:
    """The images, if one has a JSON beside it."""
    images = sorted(file for file in folder.glob("*") if file.suffix.lower() in SUFFIXES)
    return images if any(image.with_suffix(".json").is_file() for image in images) else []


def _split(folder: Path) -> Split:
    images = _images(folder)
    return Split(Files(images), [_truth(image.with_suffix(".json")) for image in images])


def _truth(file: Path) -> dict[str, Any]:
    try:
        truth = json.loads(file.read_text(encoding="utf-8"))
        fields, lines = truth["fields"], truth["lines"]
        boxes = [(*map(float, line["box"]), str(line["text"])) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise ValueError(f"{file}: no fields and lines as the layout has them: {fault!r}") from fault
    if not isinstance(fields, dict) or any(len(box) != 5 for box in boxes):
        raise ValueError(f"{file}: fields must be an object, boxes four numbers each")
    return {"fields": fields, "lines": lines}
