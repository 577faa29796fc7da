"""Parallel texts of two languages, as OPUS and WMT publish them: train.en and train.de, line by line."""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from marina.training.data.dataset import Dataset, Format, Split, divided, with_missing_splits
from marina.training.data.formats.text_corpora import Translation

# Language codes of ISO 639: en, deu, zh_cn, pt-BR.
LANGUAGE = re.compile(r"\.([a-z]{2,3}(?:[-_][A-Za-z]{2,4})?)$")
NOT_LANGUAGES = {"txt", "tsv", "csv", "gz", "zip", "md", "ids", "xml", "pth", "onnx"}
STEMS = {  # in lower case, of the files of a split
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
TEST_SHARE = 0.1
MIN_PAIRS = 20


def is_parallel_texts(path: Path) -> bool:
    """Check for two files of one name that end in language codes: corpus.en and corpus.de."""
    return path.is_dir() and bool(_pairs_of_files(path))


def read_parallel_texts(path: Path) -> Dataset:
    """Read lines of the first language as inputs, and those of the second as targets (Translations).

    The first language is the one whose code comes first in the alphabet. Files called train, valid or dev, and test are
    splits as given; others are divided. Each sentence is kept once, and empty lines are left out. Raises ValueError if
    the files of a pair have different numbers of lines, or there are more than two languages.
    """
    files = _pairs_of_files(path)
    codes = sorted({code for pair in files.values() for code in pair})
    if len(codes) != 2:
        raise ValueError(f"{path} has texts in {', '.join(codes)}; expected two languages")
    source, target = codes
    part, seen = f"{source}_{target}", set[str]()
    named = {name: split for split, names in STEMS.items() for name in names}
    rows: dict[str, list[tuple[str, str]]] = {}
    for stem in sorted(files, key=lambda stem: named.get(stem.lower(), "") != "test"):  # test first: it keeps its own
        found = [pair for pair in _lines(files[stem][source], files[stem][target]) if pair[0].casefold() not in seen]
        first = {sentence.casefold(): (sentence, translation) for sentence, translation in reversed(found)}
        seen |= first.keys()
        rows.setdefault(named.get(stem.lower(), "train"), []).extend(reversed(first.values()))
    count = sum(map(len, rows.values()))
    if count < MIN_PAIRS:
        raise ValueError(f"{path}: {count} sentence pairs; the minimum is {MIN_PAIRS}")
    contents = f"{source} -> {target}"
    splits = {
        split: Split([one for one, _ in pairs], [Translation(other, part) for _, other in pairs])
        for split, pairs in rows.items()
    }
    if splits.keys() == {"train"}:
        return divided(splits["train"], TEST_SHARE, stratified=False, contents=contents)
    return with_missing_splits(splits, TEST_SHARE, stratified=False, contents=contents)


def _pairs_of_files(path: Path) -> dict[str, dict[str, Path]]:
    """The files of each stem by their language, of those with two: {"train": {"de": ..., "en": ...}}."""
    files = sorted(file for file in path.iterdir() if file.is_file() and _language(file))
    stems = {stem: list(those) for stem, those in groupby(files, key=_stem)}
    return {stem: {_language(file): file for file in those} for stem, those in stems.items() if len(those) > 1}


def _language(file: Path) -> str:
    """The language code that a name ends in; empty if it ends in something else."""
    found = LANGUAGE.search(file.name)
    return "" if found is None or found[1] in NOT_LANGUAGES else found[1]


def _stem(file: Path) -> str:
    return file.name.removesuffix(f".{_language(file)}")


def _lines(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Yield the pairs of lines that are not empty."""
    texts = [file.read_text(encoding="utf-8-sig").split("\n") for file in (source, target)]
    counts = [len(lines) - (not lines[-1]) for lines in texts]
    if counts[0] != counts[1]:
        raise ValueError(
            f"{source} has {counts[0]} lines and {target.name} {counts[1]}; expected a translation on each line"
        )
    for one, other in zip(*texts, strict=False):
        if one.strip() and other.strip():
            yield one.strip(), other.strip()


FORMATS = (
    Format(
        "parallel_texts",
        "parallel texts: two files of one name with language codes, such as train.en and train.de (OPUS, WMT), line by "
        "line",
        is_parallel_texts,
        read_parallel_texts,
    ),
)
