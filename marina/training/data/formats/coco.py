"""COCO: images, and a JSON file for each split with boxes, masks, crowds and numbered categories."""

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from marina.training.data.dataset import VAL_FOR_TEST, Dataset, FileContents, Format, Split, with_validation

Annotation = Mapping[str, Any]


def is_coco(path: Path) -> bool:
    """Check for annotations of training instances."""
    return _newest(path, "train") is not None


def read_coco(path: Path) -> Dataset:
    """Read the splits of the newest year. Targets are dicts of boxes, labels, difficult and masks.

    The classes are the categories of train in the order of their ids, which may have gaps. Images without annotations
    are kept: they show no object. Where no test images are annotated, as in COCO itself, val is for testing and a
    tenth of train for validation. Raises ValueError if a file is malformed.
    """
    files = {name: _newest(path, name) for name in ("train", "val", "test")}
    opened = {name: _open(file) for name, file in files.items() if file is not None}
    if "val" not in opened:
        raise ValueError(f"{path} has no annotations/instances_val*.json")
    named = sorted(opened["train"].dataset["categories"], key=lambda category: category["id"])
    numbers = {category["id"]: number for number, category in enumerate(named)}
    labels = tuple(str(category["name"]) for category in named)
    splits = {name: _split(file, opened[name], numbers) for name, file in files.items() if file is not None}
    if "test" in splits:
        return Dataset(splits["train"], splits["val"], splits["test"], labels=labels)
    train, test = splits["train"], splits["val"]
    return with_validation(train, test, stratified=False, labels=labels, splits=VAL_FOR_TEST)


def _newest(path: Path, name: str) -> Path | None:
    return max((path / "annotations").glob(f"instances_{name}*.json"), default=None)


def _open(file: Path) -> COCO:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints how long it took
            return COCO(str(file))
    except (json.JSONDecodeError, KeyError, TypeError, AssertionError) as exc:
        raise ValueError(f"{file}: not annotations of instances ({exc!r})") from exc


def _split(file: Path, opened: COCO, numbers: Mapping[int, int]) -> Split:
    """Images are in a folder with the name of the split, beside `annotations` or in `images`."""
    name = file.stem.removeprefix("instances_")
    root = file.parent.parent
    folder = next((one for one in (root / name, root / "images" / name) if one.is_dir()), root / name)
    paths, targets = [], []
    for number, image in sorted(opened.imgs.items()):
        paths.append(folder / image["file_name"])
        if not paths[-1].is_file():
            raise ValueError(f"{file} lists {image['file_name']}, but {folder} has no such image")
        targets.append(_target(file, opened, opened.imgToAnns[number], numbers))
    if unknown := opened.imgToAnns.keys() - opened.imgs.keys():
        raise ValueError(f"{file}: an annotation refers to image {min(unknown)}, which does not exist")
    return Split(FileContents(paths), targets)


def _target(file: Path, opened: COCO, annotations: Sequence[Annotation], numbers: Mapping[int, int]) -> dict[str, Any]:
    """The same members as in VOC, where a crowd counts as `difficult`; and masks as COCO's compressed run lengths.

    Objects whose box has no area can't be learned, and are left out.
    """
    try:
        objects = [one for one in annotations if min(one["bbox"][2:]) > 0]
        return {
            "boxes": [[x, y, x + width, y + height] for x, y, width, height in (one["bbox"] for one in objects)],
            "labels": [numbers[one["category_id"]] for one in objects],
            "difficult": [bool(one.get("iscrowd", 0)) for one in objects],
            "masks": [_run_lengths(opened, one) for one in objects],
        }
    except (KeyError, ValueError, TypeError, IndexError) as exc:
        raise ValueError(f"{file}: malformed annotation of image {annotations[0]['image_id']}: {exc!r}") from exc


def _run_lengths(opened: COCO, annotation: Annotation) -> dict[str, Any]:
    """The compressed run lengths of polygons, or of run lengths of either kind."""
    packed = opened.annToRLE(annotation)
    counts = packed["counts"]
    return {"size": list(packed["size"]), "counts": counts.decode() if isinstance(counts, bytes) else counts}


FORMATS = (
    Format(
        "coco",
        "COCO: annotations/instances_{train,val}2017.json (or another year), images in train2017/ and val2017/",
        is_coco,
        read_coco,
    ),
)
