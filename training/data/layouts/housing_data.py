"""housing.data: 14 numbers a house, parted by white space, in the UCI repository and in StatLib."""

from pathlib import Path

import numpy as np

from training.data.dataset import Dataset, Split, part, with_validation

DESCRIPTION = "a table: housing.data, 14 columns parted by white space, no header"
FILE = "housing.data"
COLUMNS = ("CRIM", "ZN", "INDUS", "CHAS", "NOX", "RM", "AGE", "DIS", "RAD", "TAX", "PTRATIO", "B", "LSTAT", "MEDV")
NOTE = (
    "Column B of this data set encodes the share of Black residents, on the assumption that segregation raises the "
    "price of houses. It is kept because the benchmark is known by it; do not use this model to price houses. "
    "scikit-learn removed the data set for this reason, and bundles `diabetes` instead."
)


def matches(path: Path) -> bool:
    """Is it a folder with housing.data, or the file itself?"""
    return _file(path).is_file() and _file(path).name == FILE


def read(path: Path) -> Dataset:
    """A tenth of the houses is the test split, a tenth of the others the validation split.

    Raises ValueError if the numbers do not make up rows of 14.
    """
    numbers = np.array(_file(path).read_text(encoding="utf-8").split(), dtype=np.float64)
    if numbers.size == 0 or numbers.size % len(COLUMNS):
        raise ValueError(f"{_file(path)} holds {numbers.size} numbers, which is not a multiple of {len(COLUMNS)}")
    rows = numbers.reshape(-1, len(COLUMNS))  # a house may go over two lines, as it does in StatLib
    everything = Split(rows[:, :-1].tolist(), rows[:, -1].tolist())
    train, test = part(everything, 0.1, stratified=False)
    data = Dataset(train, train, test, columns=COLUMNS, note=NOTE)
    return with_validation(data, stratified=False)


def _file(path: Path) -> Path:
    return path / FILE if path.is_dir() else path
