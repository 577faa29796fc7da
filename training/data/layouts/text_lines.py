"""Text lines with transcripts: the layout of ICDAR's word recognition tasks and of the tools for MJSynth."""

import csv
from pathlib import Path

from training.data.dataset import Dataset, Split, with_validation
from training.data.lazy import Files

DESCRIPTION = (
    "text lines: train/ and test/, each with images and gt.txt or labels.txt, in which a line is <file><tab><text>, or "
    '<file>, "<text>" as ICDAR has it'
)
NAMES = ("gt.txt", "labels.txt")


def matches(path: Path) -> bool:
    """Is it a folder with transcripts, of images, for both splits?"""
    return all(_file(path / split) is not None for split in ("train", "test")) and bool(_rows(path / "train")[:1])


def read(path: Path) -> Dataset:
    """The splits of the folders; a tenth of train is for validation. A NOTE.txt beside them goes into the card.

    Raises ValueError for a missing image.
    """
    train, test = (_split(path / split) for split in ("train", "test"))
    note = path / "NOTE.txt"
    data = Dataset(train, train, test, note=note.read_text(encoding="utf-8") if note.is_file() else "")
    return with_validation(data, stratified=False)


def _split(folder: Path) -> Split:
    rows = _rows(folder)
    files = [folder / name for name, _ in rows]
    if missing := [file for file in files if not file.is_file()]:
        raise ValueError(f"{_file(folder)} names {len(missing)} images that are not there, such as {missing[0].name}")
    return Split(Files(files), [text for _, text in rows])


def _rows(folder: Path) -> list[tuple[str, str]]:
    file = _file(folder)
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
    # Quotes inside ICDAR's quotes have a backslash before them.
    (cells,) = csv.reader([text.strip()], escapechar="\\", skipinitialspace=True)
    return name.strip(), ",".join(cells)


def _file(folder: Path) -> Path | None:
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)
