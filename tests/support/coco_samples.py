"""Sample COCO folders: images of rectangles, annotated as in the published data set."""

import json
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

CATEGORIES = [  # as in COCO, ids have gaps and are in no order
    {"supercategory": "indoor", "id": 90, "name": "toothbrush"},
    {"supercategory": "person", "id": 1, "name": "person"},
    {"supercategory": "outdoor", "id": 13, "name": "stop sign"},
]
COLOURS = {1: "orange", 13: "navy", 90: "green"}
SIZES = ((50, 30), (40, 64), (300, 200))
Annotation = dict[str, Any]


def polygon(category: int, left: int, top: int, right: int, bottom: int) -> Annotation:
    """A rectangle as a polygon, edges counted from 0."""
    return {
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
        "area": float((right - left) * (bottom - top)),
        "iscrowd": 0,
        "bbox": [left, top, right - left, bottom - top],
        "category_id": category,
    }


def crowd(category: int, left: int, top: int, right: int, bottom: int, size: tuple[int, int]) -> Annotation:
    """A rectangle as a crowd: run lengths, column by column."""
    width, height = size
    rows = bottom - top
    counts = [left * height + top, *[rows, height - rows] * (right - left)]
    counts[-1] = width * height - sum(counts[:-1])
    one = polygon(category, left, top, right, bottom)
    return {**one, "segmentation": {"counts": counts, "size": [height, width]}, "iscrowd": 1}


def write(root: Path, split: str, images: list[tuple[tuple[int, int], list[Annotation]]], first: int = 1) -> Path:
    """Write annotations/instances_<split>.json and the images, each given as (size, annotations)."""
    folder = root / split
    folder.mkdir(parents=True)
    whole: dict[str, Any] = {
        "info": {"description": "COCO 2017 Dataset", "url": "http://cocodataset.org", "version": "1.0", "year": 2017},
        "licenses": [{"url": "http://creativecommons.org/licenses/by/2.0/", "id": 4, "name": "Attribution License"}],
        "images": [],
        "annotations": [],
        "categories": CATEGORIES,
    }
    for number, (size, annotations) in enumerate(images, start=first):
        image = Image.new("RGB", size, "white")
        for one in annotations:
            x, y, width, height = one["bbox"]
            inner = (x, y, max(x, x + width - 1), max(y, y + height - 1))
            ImageDraw.Draw(image).rectangle(inner, fill=COLOURS[one["category_id"]])
            whole["annotations"].append({"id": 900_000_000 + len(whole["annotations"]), "image_id": number, **one})
        name = f"{number:012}.jpg"
        image.save(folder / name, "JPEG", quality=95)
        facts = {"license": 4, "file_name": name, "height": size[1], "width": size[0], "id": number}
        whole["images"].append({**facts, "date_captured": "2013-11-14 11:18:45", "coco_url": "", "flickr_url": ""})
    (root / "annotations").mkdir(exist_ok=True)
    file = root / "annotations" / f"instances_{split}.json"
    file.write_text(json.dumps(whole))
    return file


def folder(root: Path) -> Path:
    """Write 12 train and 4 validation images of three sizes; some have no annotation, some a crowd."""
    made = []
    for number in range(16):
        width, height = size = SIZES[number % 3]
        person = polygon(1, 1 + number % 5, 2, width // 2 + number % 5, height - 3)
        sign = polygon(13, width // 2 + 8, 4, width - 1, height // 2)
        many = crowd(1, width // 2 + 8, height // 2 + 2, width - 2, height - 2, size)
        made.append((size, [[person], [person, sign], [person, many], []][number % 4]))
    write(root, "train2017", made[:12])
    write(root, "val2017", made[12:], first=13)
    return root
