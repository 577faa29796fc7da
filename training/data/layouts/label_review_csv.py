"""label,review CSV: the layout of weibo_senti_100k and its kin; label 1 is positive, 0 negative."""

import csv
import unicodedata
from pathlib import Path

from training.data.dataset import Dataset, Split, part, with_validation

DESCRIPTION = "a CSV file of texts with the header label,review, as weibo_senti_100k.csv"
HEADER = ["label", "review"]
SENTIMENTS: dict[tuple[str, ...], tuple[str, ...]] = {("0", "1"): ("negative", "positive")}


def matches(path: Path) -> bool:
    """Is it such a file, or a folder with exactly one?"""
    return len(_files(path)) == 1


def read(path: Path) -> Dataset:
    """Each text once, those that come with two labels left out; then 15 % for testing, and a tenth for validation.

    Repeated texts would be in train and test at once; those with two labels have no right answer.
    """
    (file,) = _files(path)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = [(row["label"].strip(), row["review"].strip()) for row in csv.DictReader(stream)]
    labels_of: dict[str, set[str]] = {}
    text_of: dict[str, str] = {}
    for label, text in rows:
        if text:
            labels_of.setdefault(_folded(text), set()).add(label)
            text_of.setdefault(_folded(text), text)
    unique = [(text_of[key], *labels) for key, labels in labels_of.items() if len(labels) == 1]
    names = tuple(sorted({label for _, label in unique}))
    everything = Split([text for text, _ in unique], [names.index(label) for _, label in unique])
    train, test = part(everything, 0.15)
    return with_validation(Dataset(train, train, test, labels=SENTIMENTS.get(names, names)))


def texts(path: Path) -> Dataset:
    """The same splits without their labels, for models that learn from texts alone."""
    data = read(path)
    train, validation, test = (Split(each.inputs, each.inputs) for each in (data.train, data.validation, data.test))
    return Dataset(train, validation, test)


VIEWS = dict.fromkeys(("fill_mask", "text_generation", "word_similarity"), texts)


def _folded(text: str) -> str:
    """What makes two texts the same: their characters, whatever their width, case and spacing."""
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def _files(path: Path) -> list[Path]:
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path] * (path.suffix == ".csv")
    return [file for file in files if _header(file) == HEADER]


def _header(file: Path) -> list[str]:
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return next(csv.reader(stream), [])
