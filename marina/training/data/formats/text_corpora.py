"""Text corpora: labelled reviews in a CSV file, sentence pairs for translation, and plain text.

A text that occurs twice is kept once: a repeated one would be in train and test at the same time.
"""

import csv
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from marina.training.data.dataset import UNDIVIDED, Dataset, Format, Split, divided, hold_out, with_validation

HEADER = ["label", "review"]
SENTIMENTS: dict[tuple[str, ...], tuple[str, ...]] = {("0", "1"): ("negative", "positive")}
TEST_SHARE = 0.15  # of reviews and of plain text
PAIRS_TEST_SHARE = 0.1
MAX_FILE_NAME = 200
INSPECTED_LINES = 50  # at the start of a file, to distinguish plain text from tables and sentence pairs


def is_reviews(path: Path) -> bool:
    """Check for a CSV file with the header label,review, or a folder with exactly one."""
    return len(_csv_files(path)) == 1


def read_reviews(path: Path) -> Dataset:
    """Read a CSV file of label,review, as weibo_senti_100k; label 1 is positive, 0 negative.

    Each text is kept once; those with two labels are left out, because they have no right answer. 15 % are for
    testing, a tenth of the rest for validation.
    """
    (file,) = _csv_files(path)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = [(row["label"].strip(), row["review"].strip()) for row in csv.DictReader(stream)]
    labels_of: dict[str, set[str]] = {}
    text_of: dict[str, str] = {}
    for label, text in rows:
        if text:
            labels_of.setdefault(_normalized(text), set()).add(label)
            text_of.setdefault(_normalized(text), text)
    unique = [(text_of[key], *labels) for key, labels in labels_of.items() if len(labels) == 1]
    names = tuple(sorted({label for _, label in unique}))
    everything = Split([text for text, _ in unique], [names.index(label) for _, label in unique])
    return divided(everything, TEST_SHARE, labels=SENTIMENTS.get(names, names))


def read_reviews_without_labels(path: Path) -> Dataset:
    """Read the same splits without their labels, for models that learn from texts alone."""
    data = read_reviews(path)
    train, validation, test = (Split(split.inputs, split.inputs) for split in (data.train, data.validation, data.test))
    return Dataset(train, validation, test, splits=data.splits)


def _normalized(text: str) -> str:
    """The text without differences in character width, case and spacing."""
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def _csv_files(path: Path) -> list[Path]:
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path] * (path.suffix == ".csv")
    return [file for file in files if _header(file) == HEADER]


def _header(file: Path) -> list[str]:
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return next(csv.reader(stream), [])


@dataclass(frozen=True)
class Translation:
    """The right translation, and the `part` of the data that it belongs to: the name of its file."""

    text: str
    part: str


def is_sentence_pairs(path: Path) -> bool:
    """Check for a .txt or .tsv file of sentence pairs, or a folder of such files only; not of transcripts of images."""
    files = _pair_files(path)
    return bool(files) and all(_has_pairs(file) for file in files) and not _names_a_file(files[0])


def read_sentence_pairs(path: Path) -> Dataset:
    """Read tab-separated sentence pairs, as manythings.org/anki; a third column, the attribution, is ignored. Tatoeba's
    own files have four columns: number, sentence, number, translation.

    Targets are Translations. Files have many translations of a sentence: only the first is kept, so that no sentence
    is in train and test. Of each part a tenth is for testing, and a tenth of the rest for validation.
    """
    inputs: list[str] = []
    targets: list[Translation] = []
    seen: set[str] = set()
    for file in _pair_files(path):
        for source, target in _pairs(file):
            if source.casefold() not in seen:
                seen.add(source.casefold())
                inputs.append(source)
                targets.append(Translation(target, file.stem))
    return _divided_by_part(Split(inputs, targets))


def _divided_by_part(everything: Split) -> Dataset:
    trains, tests = [], []
    for name in sorted({target.part for target in everything.targets}):
        of_part = everything.select([i for i, target in enumerate(everything.targets) if target.part == name])
        train, test = hold_out(of_part, PAIRS_TEST_SHARE, stratified=False)
        trains.append(train)
        tests.append(test)
    return with_validation(_interleaved(trains), _interleaved(tests), stratified=False, splits=UNDIVIDED)


def _interleaved(splits: list[Split]) -> Split:
    """One split, evenly mixed: its first examples are of every part."""
    order = sorted((i / len(split), number, i) for number, split in enumerate(splits) for i in range(len(split)))
    rows = [(splits[number].inputs[i], splits[number].targets[i]) for _, number, i in order]
    return Split([source for source, _ in rows], [target for _, target in rows])


def _pairs(file: Path) -> list[tuple[str, str]]:
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8-sig").splitlines()]
    rows = [row[1::2] if len(row) == 4 else row for row in rows]
    return [(row[0].strip(), row[1].strip()) for row in rows if len(row) > 1 and row[0].strip() and row[1].strip()]


def _has_pairs(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        lines = [line for line, _ in zip(stream, range(INSPECTED_LINES), strict=False) if line.strip()]
    tatoeba = all(len(cells) == 4 and cells[0].isdecimal() and cells[2].isdecimal() for cells in map(_cells, lines))
    return bool(lines) and (tatoeba or all(1 <= line.count("\t") <= 2 for line in lines))


def _cells(line: str) -> list[str]:
    return line.rstrip("\n").split("\t")


def _names_a_file(file: Path) -> bool:
    """Check whether the first cell of a table is the name of a file beside it: the table is one of transcripts."""
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        name = _cells(stream.readline())[0].strip()
    return bool(name) and len(name) < MAX_FILE_NAME and (file.parent / name).is_file()


def _pair_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] * (path.suffix in (".txt", ".tsv") and path.is_file())
    return sorted(file for file in path.iterdir() if file.suffix in (".txt", ".tsv") and not file.name.startswith("_"))


def is_plain_text(path: Path) -> bool:
    """Check for a .txt file, or a folder of files only, whose .txt files have no tabs."""
    files = _text_files(path)
    if path.is_dir() and any(entry.is_dir() for entry in path.iterdir()):
        return False  # a text file beside folders is a note
    return bool(files) and not any("\t" in line for file in files for line in _lines(file)[:INSPECTED_LINES])


def read_plain_text(path: Path) -> Dataset:
    """Read one text from each line of all files; the targets are the texts themselves.

    Each text is kept once. 15 % are for testing, a tenth of the rest for validation.
    """
    unique = list(dict.fromkeys(line for file in _text_files(path) for line in _lines(file)))
    return divided(Split(unique, unique), TEST_SHARE, stratified=False)


def _lines(file: Path) -> list[str]:
    return [line for line in map(str.strip, file.read_text(encoding="utf-8-sig").splitlines()) if line]


def _text_files(path: Path) -> list[Path]:
    return sorted(path.glob("*.txt")) if path.is_dir() else [path] * (path.suffix == ".txt" and path.is_file())


FORMATS = (
    Format(
        "label_review_csv",
        "a CSV file of texts with the header label,review, as weibo_senti_100k.csv",
        is_reviews,
        read_reviews,
        views=dict.fromkeys(("fill_mask", "text_generation", "word_similarity"), read_reviews_without_labels),
    ),
    Format(
        "sentence_pairs",
        "sentence pairs: .txt or .tsv files with <sentence><tab><translation> on each line, as manythings.org/anki",
        is_sentence_pairs,
        read_sentence_pairs,
    ),
    Format(
        "plain_text",
        "plain text: .txt files in UTF-8 with one text (a paragraph, a review) on each line",
        is_plain_text,
        read_plain_text,
    ),
)
