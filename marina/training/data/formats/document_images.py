"""Document images with ground truth: text lines with transcripts, pages with text boxes, invoices with fields."""

import csv
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from marina.training.data.dataset import (
    Dataset,
    FileContents,
    Format,
    Split,
    divided,
    with_missing_splits,
    with_validation,
)
from marina.training.data.image_files import IMAGE_SUFFIXES, split_folders

SPLITS = ("train", "test")
NOTE_FILE = "NOTE.txt"  # beside the splits; its text is copied into the card
TRANSCRIPTS = ("gt.txt", "labels.txt")
LINES_TEST_SHARE = 0.2
MAX_SHOWN = 40  # unknown characters in a message
ILLEGIBLE = "###"  # ICDAR's mark for illegible text: such boxes are left out

Box = list[float]  # x1, y1, x2, y2


def is_text_lines(path: Path) -> bool:
    """Check for transcripts of images, in the folder of train or, without splits, in `path` itself."""
    folder = _line_folders(path).get("train")
    return folder is not None and any((folder / name).is_file() for name, _ in _rows(folder)[:1])


def read_text_lines(path: Path) -> Dataset:
    """Read images of text lines in any script, as in ICDAR's word recognition tasks and the tools for MJSynth.

    Targets are the transcripts. Splits are used as given; a missing test split is a fifth of train, a missing
    validation split a tenth of the rest. Raises ValueError for a missing image, and if no transcript has a character.
    """
    folders = _line_folders(path)
    splits = {split: _split_of_lines(folder) for split, folder in folders.items()}
    if folders["train"] == path:
        dataset = divided(splits["train"], LINES_TEST_SHARE, stratified=False, note=_note(path))
    else:
        dataset = with_missing_splits(splits, LINES_TEST_SHARE, stratified=False, note=_note(path))
    if not any(dataset.train.targets):
        raise ValueError(f"{_transcripts(folders['train'])}: all transcripts are empty")
    return replace(dataset, contents=_alphabet(dataset))


def _alphabet(dataset: Dataset) -> str:
    """Describe the characters of the training split, and those of the other splits that are not among them."""
    text = f"{len(set(''.join(dataset.train.targets)))} different characters"
    for name, split in (("validation", dataset.validation), ("test", dataset.test)):
        if unknown := unknown_characters(dataset.train.targets, split.targets):
            text += (
                f", {unknown['count']} of {unknown['of']} {name} characters are not among them and can't be read: "
                f"{unknown['characters'][:MAX_SHOWN]}"
            )
    return text


def unknown_characters(known: Iterable[str], texts: Iterable[str]) -> dict[str, Any]:
    """Return the characters of `texts` that no text of `known` has: each once, their count, and that of all characters.

    Nothing if there are none.

    >>> unknown_characters(["abc"], ["cab", "daddy"])
    {'characters': 'dy', 'count': 4, 'of': 8}
    """
    alphabet, there = set("".join(known)), Counter("".join(texts))
    unknown = {character: count for character, count in sorted(there.items()) if character not in alphabet}
    facts = {"characters": "".join(unknown), "count": sum(unknown.values()), "of": there.total()}
    return facts if unknown else {}


def _line_folders(path: Path) -> dict[str, Path]:
    """The folders with transcripts of each split; without splits, {"train": path}."""
    if not path.is_dir():
        return {}
    found = {split: folder for split, folder in split_folders(path).items() if _transcripts(folder) is not None}
    return found or ({"train": path} if _transcripts(path) is not None else {})


def _note(path: Path) -> str:
    note = path / NOTE_FILE
    return note.read_text(encoding="utf-8") if note.is_file() else ""


def _split_of_lines(folder: Path) -> Split:
    rows = _rows(folder)
    files = [folder / name for name, _ in rows]
    if missing := [file for file in files if not file.is_file()]:
        raise ValueError(
            f"{_transcripts(folder)} lists {len(missing)} images that do not exist, such as {missing[0].name}"
        )
    return Split(FileContents(files), [text for _, text in rows])


def _rows(folder: Path) -> list[tuple[str, str]]:
    """(file name, transcript) of each line."""
    file = _transcripts(folder)
    assert file is not None
    lines = file.read_text(encoding="utf-8-sig").splitlines()  # ICDAR's begin with a byte order mark
    return [row for line in lines if line.strip() and (row := _row(line)) is not None]


def _row(line: str) -> tuple[str, str] | None:
    if "\t" in line:
        name, _, text = line.partition("\t")
        return name.strip(), text.strip("\r")
    name, comma, text = line.partition(",")
    if not comma:
        return None
    # Quotes inside ICDAR's quotes are escaped by a backslash.
    (cells,) = csv.reader([text.strip()], escapechar="\\", skipinitialspace=True)
    return name.strip(), ",".join(cells)


def _transcripts(folder: Path) -> Path | None:
    return next((folder / name for name in TRANSCRIPTS if (folder / name).is_file()), None)


def is_text_pages(path: Path) -> bool:
    """Check for at least one gt file in each split."""
    return all(next((path / split).rglob("gt_*.txt"), None) is not None for split in SPLITS)


def read_text_pages(path: Path) -> Dataset:
    """Read pages, as in ICDAR 2013's and 2015's localisation tasks; images and gt files may have separate folders.

    Targets are the boxes of each page, each (x1, y1, x2, y2). A tenth of train is for validation. Raises ValueError
    for an image without a gt file, and for a malformed line.
    """
    train, test = (_split_of_pages(path / split) for split in SPLITS)
    return with_validation(train, test, stratified=False)


def _split_of_pages(folder: Path) -> Split:
    images = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    truths = {file.stem: file for file in folder.rglob("gt_*.txt")}
    if missing := [image.name for image in images if f"gt_{image.stem}" not in truths]:
        raise ValueError(f"{folder} has {len(missing)} images without a gt file, such as {missing[0]}")
    return Split(FileContents(images), [boxes(truths[f"gt_{image.stem}"]) for image in images])


def boxes(file: Path) -> list[Box]:
    """Read the boxes of a gt file; four corners become their upright bounding box."""
    lines = file.read_text(encoding="utf-8-sig").splitlines()  # ICDAR's begin with a byte order mark
    return [box for line in lines if line.strip() and (box := _box(line, file)) is not None]


def _box(line: str, file: Path) -> Box | None:
    delimiter = "," if "," in line.split('"')[0] else " "
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
    numbers = 8 if len(cells) > 8 and all(_is_number(cell) for cell in cells[:8]) else 4
    if len(cells) <= numbers or not all(_is_number(cell) for cell in cells[:numbers]):
        raise ValueError(f"{file}: neither 4 nor 8 coordinates and a text: {line!r}")
    if cells[numbers] == ILLEGIBLE:
        return None
    corners = [float(cell) for cell in cells[:numbers]]
    x, y = corners[0::2], corners[1::2]
    return [min(x), min(y), max(x), max(y)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_invoices(path: Path) -> bool:
    """Check both splits for an image with a JSON file of the same name."""
    return all(any(_annotated(path / split)) for split in SPLITS)


def read_invoices(path: Path) -> Dataset:
    """Read pages with a JSON file beside each, as in the public data sets of receipts and forms.

    Targets are the JSON's `fields` and `lines`. A tenth of train is for validation. Raises ValueError for an image
    without a JSON file, and for a malformed one.
    """
    train, test = (_split_of_invoices(path / split) for split in SPLITS)
    return with_validation(train, test, stratified=False, note=_note(path))


def _annotated(folder: Path) -> list[Path]:
    """All images of the folder if at least one has a JSON file."""
    images = sorted(file for file in folder.glob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    return images if any(image.with_suffix(".json").is_file() for image in images) else []


def _split_of_invoices(folder: Path) -> Split:
    images = _annotated(folder)
    return Split(FileContents(images), [_annotation(image.with_suffix(".json")) for image in images])


def _annotation(file: Path) -> dict[str, Any]:
    try:
        truth = json.loads(file.read_text(encoding="utf-8"))
        fields, lines = truth["fields"], truth["lines"]
        rows = [(*map(float, line["box"]), str(line["text"])) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ValueError(f"{file}: no fields and lines in the format of invoices: {exc!r}") from exc
    if not isinstance(fields, dict) or any(len(row) != 5 for row in rows):
        raise ValueError(f"{file}: fields must be an object, and each box four numbers")
    return {"fields": fields, "lines": lines}


FORMATS = (
    Format(
        "text_lines",
        "text lines: train/ and test/ (or neither), each with images and gt.txt or labels.txt, in which a line is "
        '<file><tab><text>, or <file>, "<text>" as in ICDAR',
        is_text_lines,
        read_text_lines,
    ),
    Format(
        "text_pages",
        "text pages: train/ and test/, each with images and a gt_<image>.txt for each, in which a line is "
        'x1,y1,x2,y2,"text" (ICDAR 2013, commas or spaces) or x1,y1,x2,y2,x3,y3,x4,y4,text (ICDAR 2015)',
        is_text_pages,
        read_text_pages,
    ),
    Format(
        "invoices",
        "invoices: train/ and test/, each with images and a JSON file of the same name for each, "
        '{"fields": {"invoice_code": ..., "buyer": {...}, "items": [...]}, '
        '"lines": [{"box": [x1, y1, x2, y2], "text": ...}]}',
        is_invoices,
        read_invoices,
    ),
)
