"""Pascal VOC: images, XML annotations with boxes, class masks as PNG files, and lists of the images in each split."""

import io
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from marina.training.data.dataset import VAL_FOR_TEST, Dataset, FileContents, Format, Split, with_tags, with_validation
from marina.training.data.image_files import IMAGE_SUFFIXES

BORDER = 255  # in masks: the border of an object, or an ambiguous pixel; it counts neither for nor against a prediction


@dataclass(frozen=True)
class AnnotatedObject:
    """One <object> of an annotation: `box` is (x1, y1, x2, y2) in pixels from the upper left corner of the image."""

    label: str
    box: tuple[float, float, float, float]
    difficult: bool


def is_voc(path: Path) -> bool:
    """Check for a year of the challenge, or a VOCdevkit with one or more years."""
    return bool(_years(path))


def read_voc(path: Path) -> Dataset:
    """Read the splits of ImageSets/Main; several years are concatenated. The classes are the labels found, sorted.

    Targets are dicts of boxes, labels and difficult. Where no test images are annotated (as since VOC2008), val is for
    testing and a tenth of train for validation. Raises ValueError if a file is malformed.
    """
    years = _years(path)
    files: dict[str, list[Path]] = {}
    objects: dict[str, list[list[AnnotatedObject]]] = {}
    for name in ("train", "val", "test"):
        found = [pair for year in years for pair in _listed(year, "Main", name, "Annotations", ".xml")]
        files[name] = [image for image, _ in found]
        objects[name] = [_objects(annotation) for _, annotation in found]
    labels = tuple(sorted({one.label for split in objects.values() for image in split for one in image}))
    if not files["train"] or not files["val"] or not labels:
        raise ValueError(f"{path}: ImageSets/Main lists no annotated images, or the annotations have no objects")
    train, val, test = (
        Split(FileContents(files[name]), [_target(image, labels) for image in objects[name]]) for name in files
    )
    return _dataset(train, val, test, labels)


def read_voc_tags(path: Path) -> Dataset:
    """Read the same splits; the targets are the numbers of the classes that an image shows, each once."""
    return with_tags(read_voc(path))


def read_voc_masks(path: Path) -> Dataset:
    """Read the splits of ImageSets/Segmentation, divided as in `read_voc`. A target is the PNG file of a class mask.

    A pixel's value is the index of a label, with "background" first, or BORDER. Masks contain no names: the indices
    follow the alphabetical order of all names in the annotations of the whole set, listed or not. In VOC itself these
    are its 20 classes. Raises ValueError for an index beyond the names, for names that do not match the masks, and for
    malformed files.
    """
    years = _years(path)
    annotations = [file for year in years for file in sorted((year / "Annotations").glob("*.xml"))]
    inside = {file: {one.label for one in _objects(file)} for file in annotations}
    labels = ("background", *sorted(set().union(*inside.values())))
    splits = []
    for name in ("train", "val", "test"):
        found = [pair for year in years for pair in _listed(year, "Segmentation", name, "SegmentationClass", ".png")]
        _check_masks(((mask, inside.get(_annotation_of(mask), set())) for _, mask in found), labels)
        splits.append(Split(FileContents([image for image, _ in found]), FileContents([mask for _, mask in found])))
    train, val, test = splits
    if not train or not val:
        raise ValueError(f"{path}: ImageSets/Segmentation lists no images with masks")
    return _dataset(train, val, test, labels)


def decode_mask(data: bytes) -> NDArray[np.uint8]:
    """Decode a palette or grey PNG file into class indices (H, W). Raises ValueError for any other image."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        if image.mode not in ("P", "L"):
            raise ValueError(f"a mask of mode {image.mode}, which holds colours instead of class indices")
        return np.array(image)


def _check_masks(masks: Iterable[tuple[Path, Set[str]]], labels: Sequence[str]) -> None:
    """Check that labels match the indices in the masks; each mask comes with the labels annotated in its image, if any.

    Raises ValueError for an index beyond the labels, and for one whose label is missing in the annotations of most
    images that have the index.
    """
    seen, annotated = Counter[str](), Counter[str]()
    for file, names in masks:
        try:
            indices = set(np.unique(decode_mask(file.read_bytes())).tolist()) - {0, BORDER}
        except (OSError, ValueError) as exc:
            raise ValueError(f"{file}: {exc}") from exc
        if beyond := [index for index in sorted(indices) if index >= len(labels)]:
            raise ValueError(f"{file} has class {beyond[0]}, but the last label is {len(labels) - 1}, {labels[-1]}")
        if names:
            present = {labels[index] for index in indices}
            seen.update(present)
            annotated.update(present & names)
    if doubtful := [label for label, count in seen.items() if 2 * annotated[label] < count]:
        raise ValueError(f"most masks with class {labels.index(doubtful[0])} are of images without a {doubtful[0]!r}")


def _dataset(train: Split, val: Split, test: Split, labels: tuple[str, ...]) -> Dataset:
    if len(test):
        return Dataset(train, val, test, labels=labels)
    return with_validation(train, val, stratified=False, labels=labels, splits=VAL_FOR_TEST)


def _years(path: Path) -> list[Path]:
    """The folders that hold a whole data set: `path` itself, or those in it."""
    inner = sorted(path.glob("VOC*/")) if path.is_dir() else []
    return [year for year in (path, *inner) if (year / "Annotations").is_dir() and (year / "ImageSets/Main").is_dir()]


def _listed(year: Path, kind: str, name: str, folder: str, suffix: str) -> list[tuple[Path, Path]]:
    """(image, ground truth) of each image in the list whose ground truth is in `folder`.

    The lists of some years contain test images without ground truth.
    """
    listed = year / "ImageSets" / kind / f"{name}.txt"
    if not listed.is_file():
        return []
    images = {
        file.stem: file for file in sorted((year / "JPEGImages").iterdir()) if file.suffix.lower() in IMAGE_SUFFIXES
    }
    stems = [line.split()[0] for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    annotated = [stem for stem in stems if (year / folder / f"{stem}{suffix}").is_file()]
    if missing := [stem for stem in annotated if stem not in images]:
        raise ValueError(f"{listed} lists {missing[0]}, but {year / 'JPEGImages'} has no such image")
    return [(images[stem], year / folder / f"{stem}{suffix}") for stem in annotated]


def _annotation_of(mask: Path) -> Path:
    return mask.parents[1] / "Annotations" / f"{mask.stem}.xml"


def _objects(annotation: Path) -> list[AnnotatedObject]:
    try:
        tree = ElementTree.parse(annotation)  # noqa: S314 - the user's own files; expat itself stops entity bombs
        return [_object(node) for node in tree.getroot().iter("object")]
    except (ElementTree.ParseError, ValueError) as exc:
        raise ValueError(f"{annotation}: {exc}") from exc


def _object(node: ElementTree.Element) -> AnnotatedObject:
    """VOC counts pixels from 1, and the last pixel is inside the box; here, boxes are edges counted from 0."""
    texts = [node.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
    name = (node.findtext("name") or "").strip()
    if not name or None in texts:
        raise ValueError("an object without a name or a complete bndbox")
    left, top, right, bottom = (float(text) for text in texts if text is not None)
    difficult = (node.findtext("difficult") or "0").strip() == "1"
    return AnnotatedObject(name, (left - 1, top - 1, right, bottom), difficult)


def _target(objects: Sequence[AnnotatedObject], labels: Sequence[str]) -> dict[str, Any]:
    """`difficult` objects are hard even for people: not trained on, and ignored in the metrics."""
    return {
        "boxes": [list(one.box) for one in objects],
        "labels": [labels.index(one.label) for one in objects],
        "difficult": [one.difficult for one in objects],
    }


FORMATS = (
    Format(
        "voc",
        "Pascal VOC: JPEGImages/, Annotations/*.xml and ImageSets/Main/{train,val,test}.txt, in VOC2007/ or directly; "
        "for masks also SegmentationClass/*.png and ImageSets/Segmentation/",
        is_voc,
        read_voc,
        views={"semantic_segmentation": read_voc_masks, "image_tagging": read_voc_tags},
    ),
)
