"""Codec for tables of any columns: a row by column name or in order, checked, and encoded as features."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from handlers.errors import BadRequest
from handlers.tables.date_column import DateColumn
from handlers.tables.pipeline_columns import RawNumber, RawText
from handlers.tables.table_columns import CategoryColumn, NumberColumn, ValueRefused, moments

Number = TypeVar("Number", float, Tensor)
Column = NumberColumn | CategoryColumn | DateColumn | RawNumber | RawText
KINDS: dict[str, type[Column]] = {
    "number": NumberColumn,
    "category": CategoryColumn,
    "date": DateColumn,
    "raw_number": RawNumber,
    "raw_text": RawText,
}


@dataclass(frozen=True)
class TableSchema:
    """The columns in order, those that training ignored, and the target.

    A target that is a number is standardized by `target_mean` and `target_std`; one of classes has neither. `average`
    is the mean of each feature over the training rows, from which explanations start.
    """

    columns: Sequence[Column]
    ignored: Sequence[str]
    target: str
    target_mean: float | None = None
    target_std: float | None = None
    average: Sequence[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        columns = [KINDS[one["kind"]](**one) if isinstance(one, dict) else one for one in self.columns]
        object.__setattr__(self, "columns", columns)

    @classmethod
    def fit(
        cls,
        kinds: Mapping[str, str],
        rows: Iterable[Sequence[Any]],
        beyond: Iterable[Sequence[Any]],
        ignored: Sequence[str],
        target: str,
    ) -> "TableSchema":
        """Return the schema of training rows, which takes the rows `beyond` them, too.

        `kinds` has each column's kind: number, category, or the format of its dates. The schema lacks the moments of
        target and features (`with_moments`).
        """
        own, others = _by_column(rows, len(kinds)), _by_column(beyond, len(kinds))
        columns: list[Column] = []
        for (name, kind), values, more in zip(kinds.items(), own, others, strict=True):
            match kind:
                case "number":
                    columns.append(NumberColumn.fit(name, values, more))
                case "category":
                    columns.append(CategoryColumn.fit(name, values, more))
                case form:
                    columns.append(DateColumn.fit(name, values, more, form))
        return cls(columns, list(ignored), target)

    def codes(self, features: Any) -> list[float]:
        """Return the codes of a row, an object by column name or a list in the order of the columns.

        Raises BadRequest that names the column for a value it does not take, one that is missing, and an unknown name.
        """
        if isinstance(features, Mapping):
            self._check_names(features)
            features = [features.get(column.name) for column in self.columns]
        if not isinstance(features, list):
            raise BadRequest("features", f'send {{"features": {{...}}}} with these columns: {self._listed}')
        if len(features) != len(self.columns):
            raise BadRequest("features", f"{len(features)} values, but {len(self.columns)} columns: {self._listed}")
        codes: list[float] = []
        for column, value in zip(self.columns, features, strict=True):
            if value is None and not column.missing:
                raise BadRequest(f"features.{column.name}", "missing; every row of the training data has a value here")
            try:
                codes += column.encode(value)
            except ValueRefused as exc:
                raise BadRequest(f"features.{column.name}", str(exc)) from exc
        return codes

    def unknown(self, features: Any) -> list[str]:
        """Return the columns of a row whose category is none of those in training."""
        values = features if isinstance(features, Mapping) else dict(zip(self._names, features, strict=True))
        return [
            column.name
            for column in self.columns
            if isinstance(column, CategoryColumn) and not column.is_known(values.get(column.name))
        ]

    def table(self, rows: Iterable[list[float]]) -> Tensor:
        """Return the codes of many rows as (N, codes)."""
        count = sum(len(column.features) for column in self.columns)
        return torch.from_numpy(np.fromiter(chain.from_iterable(rows), dtype=np.float32).reshape(-1, count))

    def features(self, codes: Tensor) -> Tensor:
        """Expand (N, codes) to the network's input, (N, features): numbers, their ramps, one-hot vectors."""
        source, place, low, high = (part.to(codes.device) for part in self._layout)
        read = codes[:, source]
        ramp = ((read - low) / (high - low)).clamp(0, 1)
        return torch.where(place >= 0, (read == place).to(codes.dtype), torch.where(low.isnan(), read, ramp))

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self._layout[0])

    @property
    def without_ramps(self) -> Tensor:
        """Mask of the features that are no ramps, (features,): those of a plain linear model."""
        return self._layout[2].isnan()

    @property
    def owners(self) -> Tensor:
        """The number of each feature's column, (features,)."""
        widths = torch.tensor([sum(map(len, column.features)) for column in self.columns])
        return torch.arange(len(self.columns)).repeat_interleave(widths)

    def by_column(self, attributions: Tensor) -> Tensor:
        """Sum the attributions of features, (features,), for each column: (columns,)."""
        owner = self.owners.to(attributions.device)
        return torch.zeros(len(self.columns), device=attributions.device).index_add(0, owner, attributions)

    def standardize_target(self, y: Tensor) -> Tensor:
        """Convert targets from their unit to standard deviations from the mean."""
        assert self.target_mean is not None
        assert self.target_std is not None
        return (y - self.target_mean) / self.target_std

    def in_units(self, output: Number) -> Number:
        """Convert the network's outputs to the unit of the target."""
        assert self.target_mean is not None
        assert self.target_std is not None
        return output * self.target_std + self.target_mean

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of `features`: the form of the OpenAPI page."""
        properties: dict[str, Any] = {}
        for column in self.columns:
            properties[column.name] = dict(column.json_schema)
            if column.missing:
                properties[column.name]["type"] = [properties[column.name]["type"], "null"]
                if "enum" in properties[column.name]:
                    properties[column.name]["enum"].append(None)
        required = [column.name for column in self.columns if not column.missing]
        by_name = {"type": "object", "properties": properties, "required": required}
        ordered = {
            "type": "array",
            "minItems": len(properties),
            "maxItems": len(properties),
            "description": self._listed,
        }
        return {"oneOf": [by_name, ordered]}

    def _check_names(self, features: Mapping[Any, Any]) -> None:
        for name in features:
            if name == self.target and name not in self._names:
                raise BadRequest(f"features.{name}", "this is what is predicted; leave it out")
            if name not in self._names and name not in self.ignored:
                raise BadRequest(f"features.{str(name)[:100]}", f"no such column; there are: {self._listed}")

    @cached_property
    def _names(self) -> dict[str, int]:
        return {column.name: place for place, column in enumerate(self.columns)}

    @cached_property
    def _listed(self) -> str:
        return ", ".join(self._names)

    @cached_property
    def _layout(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of each feature: the number of its code, its place in a one-hot vector or -1, low and high or NaN."""
        codes = [features for column in self.columns for features in column.features]
        flat = [(number, feature) for number, features in enumerate(codes) for feature in features]
        nan = float("nan")
        return (
            torch.tensor([number for number, _ in flat]),
            torch.tensor([-1 if feature.place is None else feature.place for _, feature in flat]),
            torch.tensor([nan if feature.low is None else feature.low for _, feature in flat]),
            torch.tensor([nan if feature.high is None else feature.high for _, feature in flat]),
        )


def _by_column(rows: Iterable[Sequence[Any]], count: int) -> list[list[Any]]:
    """The values of each column."""
    values: list[list[Any]] = [[] for _ in range(count)]
    for row in rows:
        for column, value in zip(values, row, strict=True):
            column.append(value)
    return values


def with_moments(schema: TableSchema, codes: Tensor, targets: Tensor | None) -> TableSchema:
    """Return the schema with the average of the features of training rows, and the moments of a number as target.

    codes: (N, codes); targets: (N,), None for classes.
    """
    total = sum(
        (schema.features(part).sum(dim=0, dtype=torch.float64) for part in torch.split(codes, 10_000)), torch.zeros(1)
    )
    mean, std = (None, None) if targets is None else moments(targets.tolist())
    average = (total / len(codes)).tolist()
    return TableSchema(schema.columns, schema.ignored, schema.target, mean, std, average)
