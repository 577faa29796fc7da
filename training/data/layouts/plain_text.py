"""Plain text: one text a line, for models that learn from texts alone."""

from pathlib import Path

from training.data.dataset import Dataset, Split, part, with_validation

DESCRIPTION = "plain text: .txt files in UTF-8, a text (a paragraph, a review) in each line"
LOOKED_AT = 50  # lines, to tell texts from tables


def matches(path: Path) -> bool:
    """Is it such a file, or a folder of such files alone, none of which looks like a table?"""
    files = _files(path)
    if path.is_dir() and any(entry.is_dir() for entry in path.iterdir()):
        return False  # what is beside folders is a note
    return bool(files) and not any("\t" in line for file in files for line in _lines(file)[:LOOKED_AT])


def read(path: Path) -> Dataset:
    """Every text that is there, once, in all files; 15 % for testing, and a tenth of the rest for validation."""
    return of_texts([line for file in _files(path) for line in _lines(file)])


def of_texts(texts: list[str]) -> Dataset:
    """The data set whose answers are the texts themselves."""
    unique = list(dict.fromkeys(texts))
    train, test = part(Split(unique, unique), 0.15, stratified=False)
    return with_validation(Dataset(train, train, test), stratified=False)


def _lines(file: Path) -> list[str]:
    return [line for line in map(str.strip, file.read_text(encoding="utf-8-sig").splitlines()) if line]


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.txt")) if path.is_dir() else [path] * (path.suffix == ".txt" and path.is_file())
