"""Darknet/YOLO text labels: a .txt file for each image, with a line `class x y width height` for each object.

For instance segmentation the line is `class x1 y1 x2 y2 x3 y3 ...`, a polygon, as Ultralytics has it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path
from typing import Any

import yaml
from PIL import Image
from pycocotools import mask as coco

from marina.training.data.dataset import Dataset, FileContents, Format, Split, divided, with_missing_splits, with_tags
from marina.training.data.image_files import images_in, split_folders, unused_files

CONFIGURATIONS = ("data.yaml", "data.yml")
NAME_FILES = ("classes.txt", "obj.names", "labels/classes.txt", "labels/obj.names")
KEYS = {"train": "train", "validation": "val", "test": "test"}  # of a configuration
TEST_SHARE = 0.2
LINE = "class x y width height"
POLYGON = "class x1 y1 x2 y2 x3 y3 ..."
RANGES = "x and y from 0 to 1, width and height above 0 and at most 1"
ORIENTATION, TURNED = 0x0112, {5, 6, 7, 8}  # of EXIF: width and height are exchanged when the image is decoded


@dataclass(frozen=True)
class LabelledObject:
    """A line of a label: the class's number, the edges of its box (left, top, right, bottom) and the x and y of its
    polygon in turn, which is empty for a box; all from 0 to 1.
    """

    label: int
    edges: tuple[float, float, float, float]
    polygon: tuple[float, ...] = ()


def is_yolo(path: Path) -> bool:
    """Check for data.yaml with names and train, or for names in a text file beside images/ and labels/."""
    if not path.is_dir():
        return False
    if (config := _first(path, CONFIGURATIONS)) is not None:
        text = config.read_text(encoding="utf-8", errors="replace")
        return re.search(r"^names\s*:", text, re.MULTILINE) is not None
    names = _first(path, NAME_FILES)
    labels = (file for file in (path / "labels").rglob("*.txt") if file != names)
    return names is not None and (path / "images").is_dir() and next(labels, None) is not None


def read_yolo(path: Path, masks: bool = False) -> Dataset:
    """Read images with boxes. Targets are dicts of boxes, labels and difficult, as in VOC; with `masks`, of masks too,
    as COCO's run lengths.

    Splits are the folders that data.yaml names, or those in images/. A missing test split is a fifth of train, a
    missing validation split a tenth; without splits, both are taken from the whole. Images without a label file show
    no object. Raises ValueError with file and line for a malformed label, for a box where masks are read, and for a
    malformed data.yaml.
    """
    config = _first(path, CONFIGURATIONS)
    settings = {} if config is None else _settings(config)
    labels = _names(path) if config is None else _names_in(config, settings)
    if config is not None and any(settings.get(key) for key in KEYS.values()):
        folders = {split: _listed(config, key, settings) for split, key in KEYS.items() if settings.get(key)}
    else:
        folders = {split: [folder] for split, folder in split_folders(path / "images").items()}
    whole = {split: _split(found, labels, masks) for split, found in (folders or {"train": [path / "images"]}).items()}
    if "train" not in whole:
        raise ValueError(f"{config or path} has no train split; it has: {', '.join(whole)}")
    inputs = [split.inputs for split in whole.values()]
    known = [_label_file(image) for files in inputs if isinstance(files, FileContents) for image in files.paths]
    known += [path / name for name in (*CONFIGURATIONS, *NAME_FILES)]
    metadata = {"labels": labels, "unused": unused_files(path, *whole.values(), also=known)}
    if not folders:
        return divided(whole["train"], TEST_SHARE, stratified=False, **metadata)
    return with_missing_splits(whole, TEST_SHARE, stratified=False, **metadata)


def read_yolo_masks(path: Path) -> Dataset:
    """Read the same with the masks of polygons."""
    return read_yolo(path, masks=True)


def read_yolo_tags(path: Path) -> Dataset:
    """Read the same; the targets are the numbers of the classes in each image."""
    return with_tags(read_yolo(path))


def _first(path: Path, names: Sequence[str]) -> Path | None:
    return next((path / name for name in names if (path / name).is_file()), None)


def _settings(config: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ValueError(f"{config}: not YAML: {' '.join(str(exc).split())}") from exc
    if not isinstance(settings, dict):
        raise ValueError(f"{config}: a {type(settings).__name__}; expected a mapping with train, val and names")
    return settings


def _names_in(config: Path, settings: Mapping[str, Any]) -> tuple[str, ...]:
    names = settings.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise ValueError(f"{config}: names: {names}; expected a list or a mapping of numbers to names")
    if set(names) != set(range(len(names))):
        raise ValueError(f"{config}: names are numbered {', '.join(map(str, names))}; expected 0 to {len(names) - 1}")
    if settings.get("nc", len(names)) != len(names):
        raise ValueError(f"{config}: nc is {settings['nc']}, but there are {len(names)} names")
    return tuple(str(names[number]) for number in range(len(names)))


def _names(path: Path) -> tuple[str, ...]:
    file = _first(path, NAME_FILES)
    assert file is not None
    names = tuple(line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    if not names:
        raise ValueError(f"{file} is empty; expected the name of a class on each line")
    return names


def _listed(config: Path, key: str, settings: Mapping[str, Any]) -> list[Path]:
    """The folders of a split. Tools disagree on what they are relative to: `path`, data.yaml, or a folder beside it.

    Folders elsewhere are refused: the checksum of the data set does not cover them.
    """
    root = config.parent
    found = []
    for name in map(str, settings[key] if isinstance(settings[key], list) else [settings[key]]):
        ends = (name, name.removeprefix("../"))
        places = [place / end for place in (root / str(settings.get("path") or ""), root) for end in ends]
        candidates = [Path(normpath(place)) for place in places]
        inside = [one for one in candidates if one.is_dir() and one.is_relative_to(normpath(root))]
        if not inside:
            raise ValueError(f"{config}: {key}: {name}: no such folder; expected a folder of images in {root}")
        found.append(inside[0])
    return found


def _split(folders: Sequence[Path], labels: Sequence[str], masks: bool) -> Split:
    images = [image for folder in folders for image in images_in(folder)]
    where = ", ".join(map(str, folders))
    if not images:
        raise ValueError(f"{where} holds no images")
    if not any(_label_file(image).is_file() for image in images):
        raise ValueError(f"{where}: no image has a label file; expected such as {_label_file(images[0])}")
    return Split(FileContents(images), [_target(image, labels, masks) for image in images])


def _label_file(image: Path) -> Path:
    """The label file of an image: in labels/ instead of the last images/ of its path, otherwise beside it."""
    parts = list(image.parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def _target(image: Path, labels: Sequence[str], masks: bool) -> dict[str, Any]:
    file = _label_file(image)
    lines = file.read_text(encoding="utf-8-sig").splitlines() if file.is_file() else []
    objects = []
    for number, line in enumerate(lines, start=1):
        try:
            objects += [_object(line, labels)] if line.strip() else []
            if masks and objects and not objects[-1].polygon:
                raise ValueError(f"a box; instance_segmentation needs a polygon: {POLYGON}")
        except ValueError as exc:
            raise ValueError(f"{file}, line {number}: {exc}") from exc
    width, height = _size(image) if objects else (0, 0)
    boxes = [one.edges for one in objects]
    return {
        "boxes": [[x1 * width, y1 * height, x2 * width, y2 * height] for x1, y1, x2, y2 in boxes],
        "labels": [one.label for one in objects],
        "difficult": [False] * len(objects),
    } | ({"masks": [_mask(one.polygon, width, height) for one in objects]} if masks else {})


def _mask(polygon: Sequence[float], width: int, height: int) -> dict[str, Any]:
    """The mask of a polygon as COCO's compressed run lengths."""
    corners = [value * (height if place % 2 else width) for place, value in enumerate(polygon)]
    (packed,) = coco.frPyObjects([corners], height, width)
    return {"size": [height, width], "counts": packed["counts"].decode()}


def _object(line: str, labels: Sequence[str]) -> LabelledObject:
    """The object of a line; a box is clipped to the image."""
    cells = line.split()
    if len(cells) != 5 and not (len(cells) >= 7 and len(cells) % 2):
        raise ValueError(f"{len(cells)} values; expected 5: {LINE}, or {POLYGON}")
    try:
        number, values = int(cells[0]), tuple(map(float, cells[1:]))
    except ValueError:
        expected = LINE if len(cells) == 5 else POLYGON
        raise ValueError(f"{line.strip()!r} has values that are no numbers; expected {expected}") from None
    if not 0 <= number < len(labels):
        raise ValueError(f"class {number}; expected 0 to {len(labels) - 1} ({', '.join(labels)})")
    if len(values) > 4:
        if not all(0 <= value <= 1 for value in values):
            raise ValueError(f"{line.strip()!r} is not normalised; expected x and y from 0 to 1")
        across, down = values[0::2], values[1::2]
        edges = (min(across), min(down), max(across), max(down))
        if edges[0] == edges[2] or edges[1] == edges[3]:
            raise ValueError(f"{line.strip()!r} is a polygon without an area")
        return LabelledObject(number, edges, values)
    x, y, width, height = values
    if not (0 <= x <= 1 and 0 <= y <= 1 and 0 < width <= 1 and 0 < height <= 1):
        raise ValueError(f"{line.strip()!r} is not normalised; expected {RANGES}")
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in corners)
    return LabelledObject(number, (left, top, right, bottom))


def _size(image: Path) -> tuple[int, int]:
    try:
        with Image.open(image) as opened:
            width, height = opened.size
            return (height, width) if opened.getexif().get(ORIENTATION) in TURNED else (width, height)
    except OSError as exc:
        raise ValueError(f"{image}: not an image: {exc}") from exc


FORMATS = (
    Format(
        "yolo",
        "YOLO: images/train/*.jpg, labels/train/*.txt with lines <class> <x> <y> <width> <height>, and names "
        "of classes in data.yaml or classes.txt; for instance_segmentation the lines are polygons",
        is_yolo,
        read_yolo,
        views={"instance_segmentation": read_yolo_masks, "image_tagging": read_yolo_tags},
    ),
)
