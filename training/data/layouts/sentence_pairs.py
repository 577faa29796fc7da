"""Tab-separated sentence pairs: the layout of manythings.org/anki, whose third column says whose translation it is."""

from dataclasses import dataclass
from pathlib import Path

from training.data.dataset import Dataset, Split, part, with_validation

DESCRIPTION = "sentence pairs: .txt or .tsv files with <sentence><tab><translation> a line, as manythings.org/anki"
LOOKED_AT = 50  # lines, to tell pairs from what has a tab now and then


@dataclass(frozen=True)
class Translation:
    """The right answer, and the `part` of the data that it is of: its file's name."""

    text: str
    part: str


def matches(path: Path) -> bool:
    """Is it such a file, or a folder of nothing else?"""
    files = _files(path)
    return bool(files) and all(_looks_right(file) for file in files)


def read(path: Path) -> Dataset:
    """The first translation of each sentence; of each part a tenth for testing, and a tenth of the rest for validation.

    A sentence has many translations in those files, and is not to be trained on and tested.
    """
    inputs: list[str] = []
    targets: list[Translation] = []
    seen: set[str] = set()
    for file in _files(path):
        for source, target in _pairs(file):
            if source.casefold() not in seen:
                seen.add(source.casefold())
                inputs.append(source)
                targets.append(Translation(target, file.stem))
    return _split(Split(inputs, targets))


def _split(everything: Split) -> Dataset:
    parts = sorted({target.part for target in everything.targets})
    trains, tests = [], []
    for name in parts:
        of_part = everything.pick([i for i, target in enumerate(everything.targets) if target.part == name])
        train, test = part(of_part, 0.1, stratified=False)
        trains.append(train)
        tests.append(test)
    train, test = _joined(trains), _joined(tests)
    return with_validation(Dataset(train, train, test), stratified=False)


def _joined(splits: list[Split]) -> Split:
    """In turns, so that the first of them are of every part."""
    places = sorted((i / len(split), number, i) for number, split in enumerate(splits) for i in range(len(split)))
    rows = [(splits[number].inputs[i], splits[number].targets[i]) for _, number, i in places]
    return Split([source for source, _ in rows], [target for _, target in rows])


def _pairs(file: Path) -> list[tuple[str, str]]:
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8-sig").splitlines()]
    return [(row[0].strip(), row[1].strip()) for row in rows if len(row) > 1 and row[0].strip() and row[1].strip()]


def _looks_right(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        lines = [line for line, _ in zip(stream, range(LOOKED_AT), strict=False) if line.strip()]
    return bool(lines) and all(1 <= line.count("\t") <= 2 for line in lines)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] * (path.suffix in (".txt", ".tsv") and path.is_file())
    return sorted(file for file in path.iterdir() if file.suffix in (".txt", ".tsv") and not file.name.startswith("_"))
