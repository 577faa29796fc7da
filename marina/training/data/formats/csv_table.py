"""Tables of any columns: one CSV or Parquet file, of which one column is the target."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from marina.training.data import column_kinds
from marina.training.data.dataset import (
    SOURCE_FILE,
    VALIDATION_SHARE,
    Dataset,
    Format,
    LazySequence,
    Split,
    divided,
)
from marina.training.data.table_files import is_table_file, read

TASK = "tabular_prediction"
DEFAULT_TARGET = "target"
CLASSES, NUMBER = "classes", "number"  # kinds of a target: TARGET=quality:number
TEST_SHARE = 0.2
MAX_WHOLE_CLASSES = 10  # different whole numbers up to which a target is taken for classes
MAX_CLASSES = 1000
MIN_ROWS = 20
MIN_CLASS_ROWS = 5  # of the rarest class, for splits that keep the proportions of the classes


class TableRows(LazySequence[list[Any]]):
    """Rows as lists of JSON values, made on access from the columns of a table."""

    def __init__(self, columns: Sequence[Series]) -> None:
        self.length = len(columns[0])
        self.texts: list[list[Any] | None] = []
        self.numbers: list[Any] = []
        for column in columns:
            if isinstance(column.dtype, pd.CategoricalDtype):
                self.texts.append([*column.cat.categories.tolist(), None])  # -1, a missing value, is the last
                self.numbers.append(column.cat.codes.to_numpy())
            else:
                self.texts.append(None)
                self.numbers.append(column.to_numpy())

    def __len__(self) -> int:
        return self.length

    def item(self, index: int) -> list[Any]:
        return [
            _json_number(float(column[index])) if texts is None else texts[column[index]]
            for column, texts in zip(self.numbers, self.texts, strict=True)
        ]


def _json_number(value: float) -> float | int | None:
    if value != value:  # NaN
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def is_csv_table(path: Path) -> bool:
    """Check for the file of a table, or a folder with nothing else."""
    return _file(path) is not None


def read_csv_table(path: Path, target: str = "") -> Dataset:
    """Read the table for predicting the column `target`, or the one that is called "target".

    `target` may end in ":classes" or ":number"; otherwise texts, booleans and up to ten different whole numbers are
    classes. Rows without a target are left out. A fifth of the rows is for testing, a tenth of the rest for validation.
    Raises ValueError for a file that is no table, and for a column that can't be the target.
    """
    file = _file(path)
    assert file is not None
    frame, notes = read(file)
    name, kind = _target(file, frame, target)
    empty = int(frame[name].isna().sum())
    if empty:
        frame = frame[frame[name].notna()].reset_index(drop=True)
        notes.append(f"{empty} row{'s' * (empty > 1)} without {name} left out")
    if len(frame) < MIN_ROWS:
        raise ValueError(f"{file}: {len(frame)} rows with a {name}; the minimum is {MIN_ROWS}")
    labels, targets, described = _targets(file, frame[name], name, kind)
    found = column_kinds.infer([(str(other), frame[other]) for other in frame.columns if other != name])
    if not found.kinds:
        raise ValueError(f"{file}: nothing to predict {name} from; {found.summary()}")
    stratified = bool(labels)
    if labels and not _can_stratify(np.bincount(targets)):
        stratified = False
        counts = np.bincount(targets)
        least, rare = int(counts.min()), labels[int(counts.argmin())]
        notes.append(f"splits don't keep the shares of the classes: {least} row{'s' * (least > 1)} of {rare}")
    contents = "; ".join([f"{found.summary()}; target {name}: {described}", *notes, *found.notes])
    return divided(
        Split(TableRows([*found.values.values()]), targets),
        TEST_SHARE,
        stratified,
        labels=labels,
        columns=(*found.kinds, name),
        kinds=found.kinds,
        ignored=tuple(found.ignored),
        contents=contents,
    )


def _can_stratify(counts: Any) -> bool:
    """Check that each class has rows for every split."""
    validation = (1 - TEST_SHARE) * VALIDATION_SHARE * counts.sum()
    return bool(counts.min() >= MIN_CLASS_ROWS and validation >= len(counts) + 1)


def _file(path: Path) -> Path | None:
    """The file of the table at `path`."""
    if not path.is_dir():
        return path if is_table_file(path) else None
    files = [file for file in path.iterdir() if not file.name.startswith(".") and file.name != SOURCE_FILE]
    return files[0] if len(files) == 1 and is_table_file(files[0]) else None


def _target(file: Path, frame: DataFrame, target: str) -> tuple[str, str]:
    """The column to predict, and the kind that was requested, if any."""
    name, colon, kind = target.rpartition(":")
    if not colon or target in frame.columns:
        name, kind = target, ""
    elif kind not in (CLASSES, NUMBER):
        raise ValueError(f"TARGET={target}: after the colon, {CLASSES} or {NUMBER}")
    if (name or DEFAULT_TARGET) in frame.columns:
        return name or DEFAULT_TARGET, kind
    listed = ", ".join(map(str, frame.columns[:50]))
    problem = f"no column {name!r}:" if name else "which column is to be predicted?"
    raise ValueError(f"{file}: {problem} TARGET= (--target) takes one of: {listed}")


def _targets(file: Path, values: Series, name: str, kind: str) -> tuple[tuple[str, ...], Any, str]:
    """Labels, targets and a description: class numbers with their labels, or numbers without."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    different = values.nunique()
    if different < 2:
        raise ValueError(f"{file}: {name} is {values.iloc[0]!r} in every row; there is nothing to learn")
    if kind == NUMBER and not numeric:
        raise ValueError(f"{file}: {name} holds texts, such as {values.iloc[0]!r}; it can't be predicted as a number")
    whole = numeric and bool((values % 1 == 0).all())
    if kind == NUMBER or (numeric and not kind and not (whole and different <= MAX_WHOLE_CLASSES)):
        if not np.isfinite(values.astype(float)).all():
            raise ValueError(f"{file}: {name} is infinite in some rows")
        return (), values.astype(float).tolist(), f"a number from {values.min():g} to {values.max():g}"
    if different > MAX_CLASSES or (len(values) >= 50 and different > len(values) / 2):
        raise ValueError(f"{file}: {name} has {different} different values in {len(values)} rows: too many for classes")
    if numeric:
        ordered = sorted(values.unique().tolist())
        labels = tuple(f"{value:g}" if not whole else str(int(value)) for value in ordered)
        hint = "" if kind else f" (TARGET={name}:{NUMBER} for the number itself)"
    else:
        ordered, hint = sorted(values.unique().tolist(), key=str), ""
        labels = tuple(str(value) for value in ordered)
    codes = values.map({value: code for code, value in enumerate(ordered)}).astype(int).tolist()
    shown = ", ".join(labels[:10]) + ", ..." * (len(labels) > 10)
    return labels, codes, f"{len(labels)} classes ({shown}){hint}"


def no_table_task(path: Path) -> Dataset:
    """Refuse to read a table for another task. Raises ValueError."""
    raise ValueError(f"{path} is a table, which is for the task {TASK}: make train MODEL=table DATA={path} TARGET=...")


FORMATS = (
    Format(
        "csv_table",
        "a table: one .csv or .tsv file (or .csv.gz, .csv.xz, .zip) with a header, or .parquet; TARGET= names the "
        "column to predict",
        is_csv_table,
        no_table_task,
        tables={TASK: read_csv_table, "": read_csv_table},
    ),
)
