"""COCO: images, and one JSON file for each split with boxes, masks, crowds and numbered categories."""

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from training.data.dataset import Dataset, Split, with_validation
from training.data.lazy import Files

DESCRIPTION = "COCO: annotations/instances_{train,val}2017.json (or another year), images in train2017/ and val2017/"


def matches(path: Path) -> bool:
    """Are there annotations of instances to train on?"""
    return _newest(path, "train") is not None


def read(path: Path) -> Dataset:
    """The splits of the newest year; the classes are the categories of train in the order of their ids, which may have
    gaps. Images without annotations are kept: nothing is on them.

    Where no test images are annotated (as COCO's are not), val is for testing, and a tenth of train for validation.
    Raises ValueError if a file is not as the layout has it.
    """
    files = {name: _newest(path, name) for name in ("train", "val", "test")}
    opened = {name: _open(file) for name, file in files.items() if file is not None}
    if "val" not in opened:
        raise ValueError(f"{path}: there are no annotations/instances_val*.json")
    named = sorted(opened["train"].dataset["categories"], key=lambda category: category["id"])
    numbers = {category["id"]: number for number, category in enumerate(named)}
    labels = tuple(str(category["name"]) for category in named)
    splits = {name: _split(file, opened[name], numbers) for name, file in files.items() if file is not None}
    if "test" in splits:
        return Dataset(splits["train"], splits["val"], splits["test"], labels=labels)
    return with_validation(Dataset(splits["train"], splits["train"], splits["val"], labels=labels), stratified=False)


def _newest(path: Path, name: str) -> Path | None:
    return max((path / "annotations").glob(f"instances_{name}*.json"), default=None)


def _open(file: Path) -> COCO:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it says how long it took
            return COCO(str(file))
    except (json.JSONDecodeError, KeyError, TypeError, AssertionError) as fault:
        raise ValueError(f"{file}: not annotations of instances ({fault!r})") from fault


def _split(file: Path, opened: COCO, numbers: Mapping[int, int]) -> Split:
    """Images lie in a folder called as the split is, beside `annotations` or in `images`."""
    name = file.stem.removeprefix("instances_")
    root = file.parent.parent
    folder = next((place for place in (root / name, root / "images" / name) if place.is_dir()), root / name)
    paths, targets = [], []
    for place, image in sorted(opened.imgs.items()):
        paths.append(folder / image["file_name"])
        if not paths[-1].is_file():
            raise ValueError(f"{file} names {image['file_name']}, but {folder} has no such image")
        targets.append(_target(file, opened, opened.imgToAnns[place], numbers))
    if strange := opened.imgToAnns.keys() - opened.imgs.keys():
        raise ValueError(f"{file}: an annotation is of image {min(strange)}, which is not there")
    return Split(Files(paths), targets)


def _target(
    file: Path, opened: COCO, annotations: Sequence[Mapping[str, Any]], numbers: Mapping[int, int]
) -> dict[str, Any]:
    """As the VOC layout has them, a crowd being what `difficult` is there; and masks as run lengths, in COCO's own
    compressed form. What has a box without an area can't be learned, and is left out.
    """
    try:
        objects = [one for one in annotations if min(one["bbox"][2:]) > 0]
        return {
            "boxes": [[x, y, x + width, y + height] for x, y, width, height in (one["bbox"] for one in objects)],
            "labels": [numbers[one["category_id"]] for one in objects],
            "difficult": [bool(one.get("iscrowd", 0)) for one in objects],
            "masks": [_run_lengths(opened, one) for one in objects],
        }
    except (KeyError, ValueError, TypeError, IndexError) as fault:
        raise ValueError(f"{file}: an annotation of image {annotations[0]['image_id']}: {fault!r}") from fault


def _run_lengths(opened: COCO, annotation: Mapping[str, Any]) -> dict[str, Any]:
    """Out of polygons, or of run lengths of either kind."""
    packed = opened.annToRLE(annotation)
    counts = packed["counts"]
    return {"size": list(packed["size"]), "counts": counts.decode() if isinstance(counts, bytes) else counts}
