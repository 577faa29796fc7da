"""Kinds of a table's columns, inferred from their values: numbers, categories, dates, or of no use.

Every guess is reported: `Found.notes` has a line for whatever a reader of the table might not expect.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pandas import Series

from handlers.tables.date_column import ISO, parse_date

CATEGORY, NUMBER = "category", "number"
# Tried in this order; of two that fit all values, the first is taken and the ambiguity is reported.
DATE_FORMATS = (
    ISO, "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%b %d, %Y",
    "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%Y/%m/%d %H:%M:%S",
)  # fmt: skip
ISO_START = re.compile(r"\d{4}-\d{2}-\d{2}")
MOST = 0.95  # of the values that must be numbers or dates, for the others to be read as missing
UNIQUE = 0.9  # share of different values from which texts are like ids, or sentences
FEW_ROWS = 20  # with fewer, nothing is like an id
ID_NAME = re.compile(r"(^|_|\s)(id|uuid|guid|index|row|nr)$|^unnamed: 0$|^$", re.IGNORECASE)


@dataclass
class FoundColumns:
    """The columns in use with kinds (a date's is its format) and values as in requests, and those that are ignored."""

    kinds: dict[str, str] = field(default_factory=dict)
    values: dict[str, Series] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Return the counts by kind, such as "12 columns: 7 numbers, 1 date, 1 ignored (id: like an id)"."""
        dates = [form for form in self.kinds.values() if form not in (NUMBER, CATEGORY)]
        counts = {kind: list(self.kinds.values()).count(kind) for kind in (NUMBER, CATEGORY)} | {"date": len(dates)}
        plural = {NUMBER: "numbers", CATEGORY: "categories", "date": "dates"}
        words = [f"{count} {plural[kind] if count > 1 else kind}" for kind, count in counts.items() if count]
        if self.ignored:
            reasons = ", ".join(f"{name}: {why}" for name, why in self.ignored.items())
            words.append(f"{len(self.ignored)} ignored ({reasons})")
        total = len(self.kinds) + len(self.ignored)
        return f"{total} column{'s' * (total > 1)}: {', '.join(words)}"


def infer(columns: Sequence[tuple[str, Series]]) -> FoundColumns:
    """Return the kinds and the values of the columns of a table."""
    found = FoundColumns()
    for name, values in columns:
        _infer_one(found, name, values)
    return found


def _infer_one(found: FoundColumns, name: str, values: Series) -> None:
    """Add one column to what was found."""
    if pd.api.types.is_datetime64_any_dtype(values):  # of Parquet
        values = values.map(lambda moment: moment.isoformat(), na_action="ignore")
    known = values.dropna()
    different = known.nunique()
    if different < 2:
        found.ignored[name] = "empty" if known.empty else "constant"
        return
    if pd.api.types.is_bool_dtype(known) or (known.dtype == object and set(known.unique()) <= {True, False}):
        found.kinds[name], found.values[name] = (
            CATEGORY,
            values.map(lambda value: str(value).lower(), na_action="ignore").astype("category"),
        )
        return
    if pd.api.types.is_numeric_dtype(known):
        if _is_row_number(name, known, different):
            found.ignored[name] = "like an id, another value in each row"
            return
        _add_numbers(found, name, values.astype(np.float64), 0, "")
        return
    texts = values.map(lambda value: str(value).strip(), na_action="ignore")
    known = texts.dropna()
    numbers = pd.to_numeric(known, errors="coerce")
    if numbers.notna().mean() >= MOST:
        bad = known[numbers.isna()]
        _add_numbers(found, name, pd.to_numeric(texts, errors="coerce"), len(bad), next(iter(bad), ""))
        return
    if form := _date_format(found, name, known):
        fits = texts.map(lambda text: _is_date(text, form), na_action="ignore") == True  # noqa: E712 - a Series
        if bad_count := len(known) - int(fits.sum()):
            found.notes.append(
                f"{name}: {_cells(bad_count)} no date, such as {known[~fits[known.index]].iloc[0]!r}, read as missing"
            )
        found.kinds[name], found.values[name] = form, texts.where(fits).astype("category")
        return
    if len(known) >= FEW_ROWS and different > UNIQUE * len(known):
        found.ignored[name] = "like an id or free text, another value in almost each row"
        return
    found.kinds[name], found.values[name] = CATEGORY, texts.astype("category")


def _add_numbers(found: FoundColumns, name: str, values: Series, bad: int, example: str) -> None:
    if infinite := int(np.isinf(values).sum()):
        values = values.where(~np.isinf(values))
        found.notes.append(f"{name}: {_cells(infinite)} infinite, read as missing")
    if bad:
        found.notes.append(f"{name}: {_cells(bad)} no number, such as {example!r}, read as missing")
    found.kinds[name], found.values[name] = NUMBER, values


def _cells(count: int) -> str:
    return f"{count} cell{'s' * (count > 1)}"


def _is_row_number(name: str, known: Series, different: int) -> bool:
    """Check for whole numbers that differ in each row, and are called like an id or count the rows."""
    if len(known) < FEW_ROWS or different < len(known) or (known % 1 != 0).any():
        return False
    return bool(ID_NAME.search(name)) or bool((known.diff().dropna() == 1).all())


def _date_format(found: FoundColumns, name: str, known: Series) -> str:
    """The format of dates in almost all values; the empty string for others."""
    unique = known.unique()
    sample = unique[:: max(1, len(unique) // 1000)]
    fitting = [form for form in DATE_FORMATS if np.mean([_is_date(text, form) for text in sample]) >= MOST]
    if not fitting:
        return ""
    if len(fitting) > 1:
        found.notes.append(
            f"{name}: dates such as {sample[0]!r} also fit {', '.join(fitting[1:])}; read as {fitting[0]}"
        )
    return fitting[0]


def _is_date(text: str, form: str) -> bool:
    if form == ISO and not ISO_START.match(text):  # 20200201 is a number, and 2020-W05 unusual
        return False
    if form != ISO and ISO_START.match(text):
        return False
    try:
        parse_date(text, form)
    except ValueError:
        return False
    return True
