"""Pascal VOC: images, XML annotations with boxes, masks of the classes, and lists of which image is in which split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from training.data.dataset import Dataset, Split, with_validation
from training.data.layouts.image_folder import SUFFIXES
from training.data.lazy import Files
from training.data.masks import check

DESCRIPTION = (
    "Pascal VOC: JPEGImages/, Annotations/*.xml and ImageSets/Main/{train,val,test}.txt, in VOC2007/ or here; for "
    "masks also SegmentationClass/*.png and ImageSets/Segmentation/"
)


@dataclass(frozen=True)
class Object:
    """One <object> of an annotation: `box` is (x1, y1, x2, y2) in pixels from the image's left upper corner."""

    label: str
    box: tuple[float, float, float, float]
    difficult: bool


def matches(path: Path) -> bool:
    """Is it a year of the challenge, or a VOCdevkit with one or more of them?"""
    return bool(_years(path))


def read(path: Path) -> Dataset:
    """The splits of ImageSets/Main, those of several years put together; the classes are the labels found, sorted.

    Where no test images are annotated (as since VOC2008), val is for testing, and a tenth of train for validation.
    Raises ValueError if a file is not as the layout has it.
    """
    years = _years(path)
    files: dict[str, list[Path]] = {}
    objects: dict[str, list[list[Object]]] = {}
    for name in ("train", "val", "test"):
        found = [pair for year in years for pair in _listed(year, "Main", name, "Annotations", ".xml")]
        files[name] = [image for image, _ in found]
        objects[name] = [_objects(annotation) for _, annotation in found]
    labels = tuple(sorted({one.label for split in objects.values() for image in split for one in image}))
    if not files["train"] or not files["val"] or not labels:
        raise ValueError(f"{path}: ImageSets/Main lists no annotated images, or no objects are in them")
    train, val, test = (
        Split(Files(files[name]), [_target(image, labels) for image in objects[name]]) for name in files
    )
    return _dataset(train, val, test, labels)


def read_masks(path: Path) -> Dataset:
    """The splits of ImageSets/Segmentation, divided as `read` does; a target is the PNG file of a mask, whose pixels
    are numbers of labels, "background" first, or BORDER.

    Masks have no names in them. Their numbers are the places of the names in the alphabet, and all of them are in the
    annotations of the whole set, listed or not: in VOC's own they are its 20 classes. Raises ValueError for a number
    beyond the names, for names that do not fit the masks, and for files that are not as the layout has them.
    """
    years = _years(path)
    annotations = [file for year in years for file in sorted((year / "Annotations").glob("*.xml"))]
    inside = {file: {one.label for one in _objects(file)} for file in annotations}
    labels = ("background", *sorted(set().union(*inside.values())))
    splits = []
    for name in ("train", "val", "test"):
        found = [pair for year in years for pair in _listed(year, "Segmentation", name, "SegmentationClass", ".png")]
        check(((mask, inside.get(_annotation_of(mask), set())) for _, mask in found), labels)
        splits.append(Split(Files([image for image, _ in found]), Files([mask for _, mask in found])))
    train, val, test = splits
    if not train or not val:
        raise ValueError(f"{path}: ImageSets/Segmentation lists no images with masks")
    return _dataset(train, val, test, labels)


VIEWS = {"semantic_segmentation": read_masks}  # the other tasks are about boxes


def _dataset(train: Split, val: Split, test: Split, labels: tuple[str, ...]) -> Dataset:
    if len(test):
        return Dataset(train, val, test, labels=labels)
    return with_validation(Dataset(train, train, val, labels=labels), stratified=False)


def _years(path: Path) -> list[Path]:
    """The folders that hold a whole data set: `path` itself, or those in it."""
    inner = sorted(path.glob("VOC*/")) if path.is_dir() else []
    return [year for year in (path, *inner) if (year / "Annotations").is_dir() and (year / "ImageSets/Main").is_dir()]


def _listed(year: Path, kind: str, name: str, folder: str, suffix: str) -> list[tuple[Path, Path]]:
    """(image, answer) of each image in a list of this kind whose answer is in `folder`; the lists of some years name
    test images without any.
    """
    listed = year / "ImageSets" / kind / f"{name}.txt"
    if not listed.is_file():
        return []
    images = {file.stem: file for file in sorted((year / "JPEGImages").iterdir()) if file.suffix.lower() in SUFFIXES}
    stems = [line.split()[0] for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    answered = [stem for stem in stems if (year / folder / f"{stem}{suffix}").is_file()]
    if missing := [stem for stem in answered if stem not in images]:
        raise ValueError(f"{listed} names {missing[0]}, but {year / 'JPEGImages'} has no such image")
    return [(images[stem], year / folder / f"{stem}{suffix}") for stem in answered]


def _annotation_of(mask: Path) -> Path:
    return mask.parents[1] / "Annotations" / f"{mask.stem}.xml"


def _objects(annotation: Path) -> list[Object]:
    try:
        tree = ElementTree.parse(annotation)  # noqa: S314 - the user's own files; expat itself stops entity bombs
        return [_object(node) for node in tree.getroot().iter("object")]
    except (ElementTree.ParseError, ValueError) as fault:
        raise ValueError(f"{annotation}: {fault}") from fault


def _object(node: ElementTree.Element) -> Object:
    """VOC counts pixels from 1, and its last one is inside the box; ours are edges, counted from 0."""
    texts = [node.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
    name = (node.findtext("name") or "").strip()
    if not name or None in texts:
        raise ValueError("an object without a name or a whole bndbox")
    left, top, right, bottom = (float(text) for text in texts if text is not None)
    return Object(name, (left - 1, top - 1, right, bottom), (node.findtext("difficult") or "0").strip() == "1")


def _target(objects: Sequence[Object], labels: Sequence[str]) -> dict[str, Any]:
    """`difficult` objects are hard even for people: no use for training, and to be ignored when finds are counted."""
    return {
        "boxes": [list(one.box) for one in objects],
        "labels": [labels.index(one.label) for one in objects],
        "difficult": [one.difficult for one in objects],
    }
