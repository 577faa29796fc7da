"""Table files: CSV with any separator, compressed or not, and Parquet, read into named columns."""

import bz2
import csv
import gzip
import io
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast
from zipfile import BadZipFile, ZipFile

import pandas as pd
from pandas import DataFrame

TEXT = (".csv", ".tsv")
PARQUET = (".parquet", ".pq")
SEPARATORS = ",;\t|"
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
HEAD_LINES = 50
DECIMAL_COMMA = re.compile(r"-?\d{1,3}(?:\.?\d{3})*,\d+|-?\d+,\d+")
MISSING = ["?"]  # beside pandas' own: empty, NA, N/A, NaN, null, None, ...


def _zip_member(file: Path) -> IO[bytes]:
    """Open the only table of a zip archive."""
    archive = ZipFile(file)
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
    if len(names) != 1:
        raise ValueError(f"{file} holds {len(names)} files; expected one table")
    return archive.open(names[0])


COMPRESSED: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".bz2": bz2.open,
    ".zip": _zip_member,
}


def is_table_file(path: Path) -> bool:
    """Check for the name of a table: .csv, .tsv, .csv.gz, .csv.zip, .zip, .parquet, ..."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if not path.is_file() or not suffixes:
        return False
    if suffixes[-1] in COMPRESSED:
        return suffixes[-1] == ".zip" or suffixes[0] in TEXT
    return suffixes[-1] in TEXT + PARQUET


def read(file: Path) -> tuple[DataFrame, list[str]]:
    """Return the table, and lines about what was guessed. Raises ValueError for a file that is no table.

    Texts are categorical: a million rows of a few cities take few bytes each.
    """
    notes: list[str] = []
    try:
        frame = _parquet(file) if file.suffix.lower() in PARQUET else _csv(file, notes)
    except UnicodeDecodeError as exc:
        raise ValueError(
            f"{file}: not UTF-8 (byte {exc.object[exc.start]:#x} at {exc.start}); save it as UTF-8, such as by "
            f"iconv -f latin1 -t utf-8"
        ) from exc
    except (OSError, EOFError, BadZipFile, lzma.LZMAError) as exc:
        raise ValueError(f"{file} can't be read: {exc}") from exc
    if frame.empty:
        raise ValueError(f"{file} has no rows")
    if frame.shape[1] < 2:
        raise ValueError(f"{file} has one column, {frame.columns[0]!r}; expected a target and at least one other")
    return frame, notes


def _parquet(file: Path) -> DataFrame:
    try:
        frame = pd.read_parquet(file)
    except ImportError as exc:
        raise ValueError(
            f"{file}: Parquet needs pyarrow: .venv/bin/pip install pyarrow; or save the table as CSV"
        ) from exc
    except Exception as exc:  # pyarrow's own errors
        raise ValueError(f"{file} is no Parquet file: {exc}") from exc
    frame.columns = [str(name) for name in frame.columns]
    return frame


def _csv(file: Path, notes: list[str]) -> DataFrame:
    lines = _head(file)
    separator, header = _header(file, lines)
    if separator != ",":
        notes.append(f"separated by {NAMES[separator]}")
    decimal = "."
    if separator != "," and _decimal_commas(lines[1:], separator):
        decimal = ","
        notes.append("decimal commas")
    with _open(file) as stream:
        try:
            frame = pd.read_csv(
                stream, sep=separator, decimal=decimal, encoding="utf-8-sig", na_values=MISSING, low_memory=False,
                header=0, names=header, index_col=False, skipinitialspace=True,
            )  # fmt: skip
        except pd.errors.ParserError as exc:
            raise ValueError(f"{file}: {str(exc).removeprefix('Error tokenizing data. C error: ').strip()}") from exc
    for name in frame.columns:
        if not (pd.api.types.is_numeric_dtype(frame[name]) or pd.api.types.is_bool_dtype(frame[name])):
            frame[name] = frame[name].map(str, na_action="ignore").astype("category")
    return frame


def _plain(file: Path) -> IO[bytes]:
    return file.open("rb")


def _open(file: Path) -> IO[bytes]:
    return cast("IO[bytes]", COMPRESSED.get(file.suffix.lower(), _plain)(file))


def _head(file: Path) -> list[str]:
    """The first lines of the text."""
    with _open(file) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as stream:
        lines = [line for _, line in zip(range(HEAD_LINES), stream, strict=False)]
    if not any(line.strip() for line in lines):
        raise ValueError(f"{file} is empty")
    if "\0" in lines[0]:
        raise ValueError(f"{file} is no text; expected CSV in UTF-8")
    return lines


def _header(file: Path, lines: list[str]) -> tuple[str, list[str]]:
    """The separator, and the names of the columns; raises ValueError for a first line that is no header."""
    separator = max(SEPARATORS, key=lambda one: (len(next(csv.reader(lines, delimiter=one))), -SEPARATORS.index(one)))
    header = [name.strip() for name in next(csv.reader(lines, delimiter=separator))]
    numbers = [name for name in header if _is_number(name)]
    if numbers:
        raise ValueError(f"{file}: the first line is no header, {numbers[0]!r} is a number; add a line of column names")
    if repeated := [name for name in header if header.count(name) > 1]:
        raise ValueError(f"{file}: two columns are called {repeated[0]!r}; rename one in the header")
    if "" in header[1:]:
        raise ValueError(f"{file}: column {header.index('', 1) + 1} has no name; add it to the header")
    return separator, [name or "Unnamed: 0" for name in header]  # pandas writes its row numbers without a name


def _is_number(name: str) -> bool:
    try:
        float(name.replace(",", "."))
    except ValueError:
        return False
    return name.lower() not in ("nan", "inf", "infinity")


def _decimal_commas(lines: list[str], separator: str) -> bool:
    """Check for cells such as 3,14, and none such as 3.14."""
    cells = [cell.strip() for row in csv.reader(lines, delimiter=separator) for cell in row]
    return any(re.fullmatch(DECIMAL_COMMA, cell) for cell in cells) and not any(
        re.fullmatch(r"-?\d+\.\d+", cell) for cell in cells
    )
