"""Boston housing, as in the UCI repository and in StatLib: 14 numbers for each house, separated by white space."""

from pathlib import Path

import numpy as np

from marina.training.data.dataset import Dataset, Format, Split, divided

FILE = "housing.data"
TEST_SHARE = 0.1
COLUMNS = ("CRIM", "ZN", "INDUS", "CHAS", "NOX", "RM", "AGE", "DIS", "RAD", "TAX", "PTRATIO", "B", "LSTAT", "MEDV")
NOTE = (
    "Column B of this data set encodes the share of Black residents, on the assumption that segregation raises the "
    "price of houses. It is kept because the benchmark is known by it; do not use this model to price houses. "
    "scikit-learn removed the data set for this reason, and bundles `diabetes` instead."
)


def is_housing_data(path: Path) -> bool:
    """Check for a folder with housing.data, or the file itself."""
    return _file(path).is_file() and _file(path).name == FILE


def read_housing_data(path: Path) -> Dataset:
    """Read the rows: inputs are the first 13 columns, the target is the price, MEDV.

    A tenth of the houses is the test split, a tenth of the others the validation split. The card carries a note on
    column B. Raises ValueError if the numbers do not form rows of 14.
    """
    numbers = np.array(_file(path).read_text(encoding="utf-8").split(), dtype=np.float64)
    if numbers.size == 0 or numbers.size % len(COLUMNS):
        raise ValueError(f"{_file(path)} holds {numbers.size} numbers, which is not a multiple of {len(COLUMNS)}")
    rows = numbers.reshape(-1, len(COLUMNS))  # in StatLib, a house takes two lines
    everything = Split(rows[:, :-1].tolist(), rows[:, -1].tolist())
    return divided(everything, TEST_SHARE, stratified=False, columns=COLUMNS, note=NOTE)


def _file(path: Path) -> Path:
    return path / FILE if path.is_dir() else path


FORMATS = (
    Format(
        "housing_data",
        "a table: housing.data, 14 columns separated by white space, no header",
        is_housing_data,
        read_housing_data,
    ),
)
