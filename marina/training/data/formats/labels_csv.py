"""Images with labels in CSV files: labels.csv, or a table for each split, with a column of files and one of labels.

For image_tagging a cell may hold several labels, with | or ; between, or each label has a column of 0 and 1.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path

from marina.training.data.dataset import Dataset, FileContents, Format, Split, divided, with_missing_splits
from marina.training.data.formats.image_folders import MIN_CLASSES, MIN_IMAGES, has_class_folders
from marina.training.data.image_files import SPLIT_NAMES, unused_files

WHOLE = "labels"  # the name of a table without splits
FILE_COLUMNS = ("file", "filename", "file_name", "image", "path")
LABEL_COLUMNS = ("label", "class", "target")
TEST_SHARE = 0.2  # of each class
SEPARATORS = re.compile(r"[|;]")  # of several labels in a cell
INDICATORS = {"0": False, "1": True, "0.0": False, "1.0": True}


@dataclass(frozen=True)
class Row:
    """One row of a table; `place` is its file and line, `labels` has one or, for image_tagging, any number."""

    place: str
    image: Path
    labels: tuple[str, ...]


def is_labels_csv(path: Path) -> bool:
    """Check for a table of files and labels, in a folder that isn't an ImageFolder."""
    return path.is_dir() and bool(_tables(path)) and not has_class_folders(path)


def read_labels_csv(path: Path) -> Dataset:
    """Read labels.csv, or train.csv with val.csv and test.csv; images are beside the tables or in images/ or train/.

    Tables of splits are used as given. A missing test split is a fifth of each class of train, a missing validation
    split a tenth of train. Raises ValueError with the line for an empty label, a missing file, an image that is listed
    twice, and a label that train lacks; and if there are too few classes, or images of a class.
    """
    tables, rows = _read(path, tags=False)
    labels = _labels(tables["train"], rows["train"], MIN_IMAGES if len(tables) < len(SPLIT_NAMES) else 1)
    return _dataset(path, tables, {split: _split(found, labels, False) for split, found in rows.items()}, labels, True)


def read_tags_csv(path: Path) -> Dataset:
    """Read the same for image_tagging: a cell holds labels with | or ; between, or each label has a column of 0 and 1.

    Targets are the numbers of an image's labels; an empty cell is an image without labels.
    """
    tables, rows = _read(path, tags=True)
    labels = _labels(tables["train"], rows["train"], 1)
    splits = {split: _split(found, labels, True) for split, found in rows.items()}
    return _dataset(path, tables, splits, labels, False)


def _read(path: Path, tags: bool) -> tuple[dict[str, Path], dict[str, list[Row]]]:
    """The tables of the splits, and their rows."""
    tables = _tables(path)
    if "train" in tables:
        tables.pop(WHOLE, None)
    elif WHOLE in tables:
        tables = {"train": tables[WHOLE]}
    else:
        names = ", ".join(file.name for file in tables.values())
        raise ValueError(f"{path} has {names}, but neither train.csv nor labels.csv")
    first: dict[Path, str] = {}
    return tables, {split: _rows(path, split, file, first, tags) for split, file in tables.items()}


def _dataset(
    path: Path, tables: dict[str, Path], splits: dict[str, Split], labels: tuple[str, ...], stratified: bool
) -> Dataset:
    unused = unused_files(path, *splits.values(), also=tables.values())
    if tables["train"].stem.lower() == WHOLE:
        return divided(splits["train"], TEST_SHARE, stratified, labels=labels, unused=unused)
    return with_missing_splits(splits, TEST_SHARE, stratified, labels=labels, unused=unused)


def _tables(path: Path) -> dict[str, Path]:
    """The tables of files and labels: {"train": path / "train.csv", ...}, or {"labels": path / "labels.csv"}."""
    names = {**SPLIT_NAMES, WHOLE: (WHOLE,)}
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() == ".csv" and file.is_file()]
    found = {split: file for split, names in names.items() for file in files if file.stem.lower() in names}
    return {split: file for split, file in found.items() if _has_labels(file)}


def _has_labels(file: Path) -> bool:
    """Check for a column of files, and one of labels or several of 0 and 1."""
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        lines = [stream.readline(), stream.readline()]
    header, first = ([*csv.reader([line], delimiter=_delimiter(lines[0]))] for line in lines)
    named, label = _columns(header[0] if header else [])
    return bool(named) and (bool(label) or bool(header and first and _indicated(header[0], first[0], named)))


def _indicated(header: Sequence[str], cells: Sequence[str], file_column: str) -> list[str]:
    """The columns of 0 and 1; none unless all but the column of files are."""
    others = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if name != file_column}
    return list(others) if len(others) >= MIN_CLASSES and set(others.values()) <= INDICATORS.keys() else []


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _columns(header: list[str]) -> tuple[str, str]:
    """The names of the columns of files and labels; "" for one that is missing."""
    lower = {name.strip().lower(): name for name in header}
    file, label = (
        next((lower[name] for name in names if name in lower), "") for names in (FILE_COLUMNS, LABEL_COLUMNS)
    )
    return file, label


def _rows(path: Path, split: str, file: Path, first: dict[Path, str], tags: bool) -> list[Row]:
    """The rows of a table. `first` is where each image was listed first, in this table or one before."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ValueError(f"{file}: not UTF-8 ({exc.reason} at byte {exc.start})") from exc
    lines = text.splitlines()
    reader = csv.DictReader(lines, delimiter=_delimiter(lines[0]), restval="")
    file_column, label_column = _columns(list(reader.fieldnames or []))
    rows = []
    for cells in reader:
        place = f"{file}, line {reader.line_num}"
        name, labels = cells.pop(file_column).strip(), _labels_of(place, cells, label_column, tags)
        if not name or not (labels or tags):
            raise ValueError(f"{place}: an empty {'label' if name else 'file name'}")
        image = _image(path, split, name)
        if image is None:
            raise ValueError(
                f"{place}: no file {name} in {path}; expected it beside the table or in images/ or {split}/"
            )
        if image in first:
            raise ValueError(f"{place}: {name} again, after {first[image]}; expected one label an image")
        first[image] = place
        rows.append(Row(place, image, labels))
    if not rows:
        raise ValueError(f"{file} has no rows")
    return rows


def _labels_of(place: str, cells: dict[str, str], column: str, tags: bool) -> tuple[str, ...]:
    """The labels of a row: its cell, or the parts of it, or the names of the columns that have a 1."""
    if column:
        parts = SEPARATORS.split(cells[column]) if tags else [cells[column]]
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    if not tags:
        raise ValueError(f"{place}: a column of 0 and 1 for each label, which image_tagging reads; expected one label")
    for name, cell in cells.items():
        if cell.strip() not in INDICATORS:
            raise ValueError(f"{place}: {cell.strip() or 'nothing'} in the column {name}; expected 0 or 1")
    return tuple(name for name, cell in cells.items() if INDICATORS[cell.strip()])


def _image(path: Path, split: str, name: str) -> Path | None:
    """The file of this name; None outside of `path`, where the checksum of the data set does not cover it."""
    inner = [name for split_name in SPLIT_NAMES[split] for name in (split_name, split_name.upper(), split_name.title())]
    folders = ["", "images", *inner, *(f"images/{name}" for name in inner)]
    candidates = (Path(normpath(path / folder / name.replace("\\", "/"))) for folder in folders)
    return next((one for one in candidates if one.is_relative_to(normpath(path)) and one.is_file()), None)


def _labels(file: Path, rows: list[Row], minimum: int) -> tuple[str, ...]:
    """The labels of train, numbers in the order of their values."""
    counts = Counter(label for row in rows for label in row.labels)
    if len(counts) < MIN_CLASSES:
        raise ValueError(f"{file}: 1 class; expected {MIN_CLASSES} or more")
    for label, count in counts.items():
        if count < minimum:
            raise ValueError(f"{file}: {count} images of {label}; the minimum is {minimum}")
    if all(label.isdecimal() for label in counts):
        return tuple(sorted(counts, key=int))
    return tuple(sorted(counts))


def _split(rows: list[Row], labels: tuple[str, ...], tags: bool) -> Split:
    """The split of these rows; a target is a number, or with `tags` a list of numbers."""
    for row in rows:
        if unknown := [label for label in row.labels if label not in labels]:
            raise ValueError(
                f"{row.place}: label {unknown[0]}, which train lacks; expected one of: {', '.join(labels)}"
            )
    numbers = [[labels.index(label) for label in row.labels] for row in rows]
    return Split(FileContents([row.image for row in rows]), numbers if tags else [each[0] for each in numbers])


FORMATS = (
    Format(
        "labels_csv",
        "images with labels in CSV: labels.csv (or train.csv, val.csv, test.csv) with a column file, filename, image "
        "or path and a column label, class or target (for image_tagging also several, as a|b, or columns of 0 and 1) "
        "and images beside it or in images/",
        is_labels_csv,
        read_labels_csv,
        views={"image_tagging": read_tags_csv},
    ),
)
