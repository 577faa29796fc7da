"""COCO: images, and a JSON file for each split with boxes, masks, crowds and numbered categories."""

import contextlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from marina.training.data.dataset import (
    VAL_FOR_TEST,
    Dataset,
    FileContents,
    Format,
    Split,
    with_missing_splits,
    with_tags,
    with_validation,
)
from marina.training.data.image_files import SPLIT_NAMES, split_folders

BESIDE = "_annotations.coco.json"  # in the folder of the images
OTHER_KINDS = ("captions", "image_info", "panoptic", "person_keypoints", "stuff")  # of COCO's own annotations
TEST_SHARE = 0.2
Annotation = Mapping[str, Any]


def is_coco(path: Path) -> bool:
    """Check for annotations of training instances."""
    return "train" in _annotation_files(path)


def read_coco(path: Path, masks: bool = True) -> Dataset:
    """Read the splits of the newest year. Targets are dicts of boxes, labels, difficult and, with `masks`, masks.

    The classes are the categories of train in the order of their ids, which may have gaps. Images without annotations
    are kept: they show no object. Where no test images are annotated, as in COCO itself, val is for testing and a
    tenth of train for validation; without val, both are held out from train. Raises ValueError if a file is malformed.
    """
    files = _annotation_files(path)
    opened = {name: _open(file) for name, file in files.items()}
    named = sorted(opened["train"].dataset["categories"], key=lambda category: category["id"])
    numbers = {category["id"]: number for number, category in enumerate(named)}
    labels = tuple(str(category["name"]) for category in named)
    splits = {name: _split(file, name, opened[name], numbers, masks) for name, file in files.items()}
    if "validation" in splits and "test" not in splits:
        train, test = splits["train"], splits["validation"]
        return with_validation(train, test, stratified=False, labels=labels, splits=VAL_FOR_TEST)
    return with_missing_splits(splits, TEST_SHARE, stratified=False, labels=labels)


def read_coco_boxes(path: Path) -> Dataset:
    """Read the same without masks, which tools for boxes leave empty."""
    return read_coco(path, masks=False)


def read_coco_tags(path: Path) -> Dataset:
    """Read the same; the targets are the numbers of the categories in each image."""
    return with_tags(read_coco_boxes(path))


def _annotation_files(path: Path) -> dict[str, Path]:
    """The annotations of each split: COCO's own, those with its name in theirs, or Roboflow's, in its folder."""
    found: dict[str, Path] = {}
    others = [file for file in sorted((path / "annotations").glob("*.json")) if not file.stem.startswith(OTHER_KINDS)]
    for split, names in SPLIT_NAMES.items():
        own = [file for name in names for file in (path / "annotations").glob(f"instances_{name}*.json")]
        named = [file for file in others if set(re.split(r"[^a-z]+", file.stem.lower())) & set(names)]
        beside = [file for file in path.glob(f"*/{BESIDE}") if file.parent.name.lower() in names]
        if files := own or named or beside:
            found[split] = max(files)
    return found


def _open(file: Path) -> COCO:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints how long it took
            return COCO(str(file))
    except (json.JSONDecodeError, KeyError, TypeError, AssertionError) as exc:
        raise ValueError(f"{file}: not annotations of instances ({exc!r})") from exc


def _split(file: Path, split: str, opened: COCO, numbers: Mapping[int, int], masks: bool) -> Split:
    folder = _images(file, split)
    paths, targets = [], []
    for number, image in sorted(opened.imgs.items()):
        paths.append(folder / image["file_name"])
        if not paths[-1].is_file():
            raise ValueError(f"{file} lists {image['file_name']}, but {folder} has no such image")
        targets.append(_target(file, opened, opened.imgToAnns[number], numbers, masks))
    if unknown := opened.imgToAnns.keys() - opened.imgs.keys():
        raise ValueError(f"{file}: an annotation refers to image {min(unknown)}, which does not exist")
    return Split(FileContents(paths), targets)


def _images(file: Path, split: str) -> Path:
    """The folder of images: that of the annotations, one named after the split, there or in images/, or images/."""
    if file.name == BESIDE:
        return file.parent
    root, name = file.parent.parent, file.stem.removeprefix("instances_")
    inner = [split_folders(place).get(split) for place in (root, root / "images")]
    folders = [root / name, root / "images" / name, *(one for one in inner if one is not None), root / "images"]
    return next((one for one in folders if one.is_dir()), root / name)


def _target(
    file: Path, opened: COCO, annotations: Sequence[Annotation], numbers: Mapping[int, int], masks: bool
) -> dict[str, Any]:
    """The same members as in VOC, where a crowd counts as `difficult`; and masks as COCO's compressed run lengths.

    Objects whose box has no area can't be learned, and are left out.
    """
    try:
        objects = [one for one in annotations if min(one["bbox"][2:]) > 0]
        return {
            "boxes": [[x, y, x + width, y + height] for x, y, width, height in (one["bbox"] for one in objects)],
            "labels": [numbers[one["category_id"]] for one in objects],
            "difficult": [bool(one.get("iscrowd", 0)) for one in objects],
        } | ({"masks": [_run_lengths(opened, one) for one in objects]} if masks else {})
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
        "COCO: annotations/instances_{train,val}2017.json (or another year), images in train2017/ and val2017/; "
        "annotations/{train,val,test}.json, or train/_annotations.coco.json beside the images",
        is_coco,
        read_coco,
        views={"object_detection": read_coco_boxes, "image_tagging": read_coco_tags},
    ),
)
