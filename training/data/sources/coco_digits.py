"""The scenes of voc_digits as COCO has them: a file of annotations for each split, with a mask for each digit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.data.sources import voc_digits
from training.data.sources.voc_digits import SIZE, Scene

ORIGIN = voc_digits.ORIGIN
LICENCE = voc_digits.LICENCE
CATEGORIES = [{"id": digit + 1, "name": str(digit), "supercategory": "digit"} for digit in range(10)]


def write(folder: Path) -> None:
    """Write annotations/instances_{train,val,test}2017.json and the images that they name."""
    made: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for number, (split, scene) in enumerate(voc_digits.scenes(), start=1):
        images = folder / f"{split}2017"
        images.mkdir(exist_ok=True)
        file = images / f"{number:012}.jpg"
        Image.fromarray(scene.image).save(file, quality=92)
        held = made.setdefault(split, {"images": [], "annotations": []})
        held["images"].append({"id": number, "file_name": file.name, "height": SIZE, "width": SIZE, "license": 1})
        held["annotations"] += annotations(scene, number)
    (folder / "annotations").mkdir()
    for split, held in made.items():
        head = {"info": {"description": ORIGIN}, "licenses": [{"id": 1, "name": LICENCE, "url": ""}]}
        whole = json.dumps({**head, **held, "categories": CATEGORIES})
        (folder / "annotations" / f"instances_{split}2017.json").write_text(whole, encoding="utf-8")


def annotations(scene: Scene, image: int) -> list[dict[str, Any]]:
    """The objects of an image. Masks are run lengths, pixel by pixel: COCO's polygons have no holes, and digits do."""
    return [
        {
            "id": image * 10 + place,
            "image_id": image,
            "category_id": label + 1,
            "segmentation": {"counts": run_lengths(instance), "size": [SIZE, SIZE]},
            "area": int(instance.sum()),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "iscrowd": 0,
        }
        for place, ((label, (x1, y1, x2, y2)), instance) in enumerate(
            zip(scene.objects, scene.instances, strict=True), start=1
        )
    ]


def run_lengths(mask: Any) -> list[int]:
    """(H, W) of bool -> how many pixels are not the object's, are, are not, ..., column by column."""
    flat = np.asarray(mask).T.ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    return np.diff(changes, prepend=0, append=flat.size).tolist()
