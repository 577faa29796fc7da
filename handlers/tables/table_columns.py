"""Columns of a table: numbers and categories. Each checks the JSON values of requests and encodes them.

A value becomes one or more codes, floats that a batch expands to the features of the network's input. A column learns
from the values of the training rows, and takes whatever occurs in the rows `beyond` them, those of validation and test;
None is a missing value. Dates are in date_column.py.
"""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from handlers.codecs.tabular import MAX_DEVIATIONS

MAX_CATEGORIES = 50  # of a column; less frequent ones share one code
MIN_ROWS = 3  # of a category; fewer teach the network nothing about it
MAX_NAMES = 20  # categories that an error message lists
MAX_RAMPS = 16  # features of a number beside itself
ROWS_PER_RAMP = 50


@dataclass(frozen=True)
class Feature:
    """One feature of a code: the code itself, a ramp from `low` to `high`, or a `place` of a one-hot vector.

    Ramps between quantiles are the piecewise linear encoding of arXiv:2203.05556: a perceptron finds thresholds, as
    trees do, with them.
    """

    low: float | None = None
    high: float | None = None
    place: int | None = None


class ValueRefused(ValueError):  # noqa: N818 - becomes a BadRequest
    """A value that the column does not take; the message is the reason."""


@dataclass(frozen=True)
class NumberColumn:
    """Finite numbers, standardized. `edges` of the ramps are in standard deviations. `whole` is for the OpenAPI page:
    training had whole numbers only.
    """

    name: str
    missing: bool
    mean: float
    std: float
    minimum: float
    maximum: float
    whole: bool
    edges: Sequence[float] = ()
    kind: str = "number"

    @classmethod
    def fit(cls, name: str, values: Sequence[Any], beyond: Sequence[Any] = ()) -> "NumberColumn":
        """Return the column of these numbers. Constant ones have deviation 1."""
        known = [float(value) for value in values if value is not None] or [0.0]
        mean, std = moments(known)
        every = known + [float(value) for value in beyond if value is not None]
        whole = all(value.is_integer() for value in every)
        edges = quantiles([(value - mean) / std for value in known])
        return cls(name, None in values or None in beyond, mean, std, min(every), max(every), whole, edges)

    @property
    def features(self) -> list[list[Feature]]:
        """The features of each code: the number, and whether it is missing."""
        return [[Feature(), *ramps(self.edges)], *([[Feature()]] if self.missing else [])]

    def encode(self, value: Any) -> list[float]:
        """Return the codes of a value. Raises ValueRefused if it is no number in a sensible range."""
        if value is None:
            return [0.0, 1.0]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueRefused(f"not a number: {shown(value)}")
        # Compared, not converted: an integer of 400 digits has no float. NaN is not below anything.
        if not -self._limit < value < self._limit:
            raise ValueRefused("not a finite number in a range that makes sense here")
        deviations = (value - self.mean) / self.std
        return [deviations, 0.0] if self.missing else [deviations]

    @property
    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of a value."""
        described = f"from {self.minimum:g} to {self.maximum:g} in training"
        return {"type": "integer" if self.whole else "number", "description": described}

    @cached_property
    def _limit(self) -> float:
        return max(MAX_DEVIATIONS * (self.std + abs(self.mean)), abs(self.minimum) * 2, abs(self.maximum) * 2)


@dataclass(frozen=True)
class CategoryColumn:
    """Texts of a closed set, one-hot. With `other`, texts outside of it share one code, which was trained on those that
    are too rare in the training rows for a code of their own; without, they are refused.
    """

    name: str
    missing: bool
    categories: Sequence[str]
    other: bool
    kind: str = "category"

    @classmethod
    def fit(cls, name: str, values: Sequence[Any], beyond: Sequence[Any] = ()) -> "CategoryColumn":
        """Return the column of these texts, the most frequent first."""
        counts, every = Counter(values), {*values, *beyond}
        frequent = [text for text, count in counts.most_common() if text is not None and count >= MIN_ROWS]
        frequent = frequent[:MAX_CATEGORIES]
        return cls(name, None in every, frequent, bool(every - {None, *frequent}))

    @property
    def features(self) -> list[list[Feature]]:
        """The features of the only code: categories, other, missing."""
        return [one_hot(len(self.categories) + self.other + self.missing)]

    def encode(self, value: Any) -> list[float]:
        """Return the code of a value. Raises ValueRefused for what is no text, or none of a closed set."""
        if value is None:
            return [float(len(self.categories) + self.other)]
        if isinstance(value, bool):
            value = next((text for text in self._codes if text.lower() == str(value).lower()), value)
        if not isinstance(value, str):
            raise ValueRefused(f"not a text: {shown(value)}; there are: {self._listed}")
        code = self._codes.get(value)
        if code is None and not self.other:
            raise ValueRefused(f"unknown category {shown(value)}; there are: {self._listed}")
        return [float(len(self.categories)) if code is None else code]

    def is_known(self, value: Any) -> bool:
        """Return whether a value that was accepted has a code of its own."""
        return value is None or str(value) in self._codes or not self.other

    @property
    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of a value: any text if there is a code for other ones."""
        if self.other:
            return {
                "type": "string",
                "description": f"known: {self._listed}; others count as one",
                "examples": [*self.categories[:1]],
            }
        return {"type": "string", "enum": [*self.categories]}

    @cached_property
    def _codes(self) -> dict[str, float]:
        return {text: float(code) for code, text in enumerate(self.categories)}

    @property
    def _listed(self) -> str:
        more = f", and {len(self.categories) - MAX_NAMES} more" if len(self.categories) > MAX_NAMES else ""
        return ", ".join(self.categories[:MAX_NAMES]) + more


def moments(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard deviation; the latter is 1 for constant values."""
    mean = statistics.fmean(values)
    std = statistics.fmean((value - mean) ** 2 for value in values) ** 0.5
    return mean, std if std > abs(mean) * 1e-12 else 1.0


def quantiles(values: Sequence[float]) -> list[float]:
    """Return the edges of ramps that each hold about as many rows; none for few rows or values."""
    count = min(MAX_RAMPS, len(values) // ROWS_PER_RAMP)
    if count < 2:
        return []
    edges = sorted({round(edge, 6) for edge in [min(values), *statistics.quantiles(values, n=count), max(values)]})
    return edges if len(edges) > 2 else []


def ramps(edges: Sequence[float]) -> list[Feature]:
    """Return a feature between each two edges."""
    return [Feature(low, high) for low, high in pairwise(edges)]


def one_hot(size: int) -> list[Feature]:
    """Return the features of a one-hot vector."""
    return [Feature(place=place) for place in range(size)]


def shown(value: Any) -> str:
    """Return a value as an error message quotes it."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
