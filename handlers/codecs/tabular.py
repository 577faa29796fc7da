"""Codec for tables: a row of numbers, by position or by column name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import lt
from typing import Any

import torch
from torch import Tensor

from handlers.errors import BadRequest

MAX_DEVIATIONS = 1e6  # from the mean; a number beyond it is a mistake, and would outweigh all others


@dataclass(frozen=True)
class TableCodec:
    """The columns in order, and the mean and standard deviation of each and of the target."""

    columns: Sequence[str]
    mean: Sequence[float]
    std: Sequence[float]
    target: str
    target_mean: float
    target_std: float

    @classmethod
    def fit(cls, columns: Sequence[str], x: Tensor, target: str, y: Tensor) -> "TableCodec":
        """Return the codec for training rows x, (N, C), and targets y, (N,). A constant column has deviation 1."""
        std = torch.where(x.std(dim=0) > 0, x.std(dim=0), 1.0)
        return cls(list(columns), x.mean(dim=0).tolist(), std.tolist(), target, float(y.mean()), float(y.std()) or 1.0)

    def numbers(self, features: Any) -> list[float]:
        """Return the numbers of a row in the order of the columns.

        `features` is a list of numbers, or an object by column name. Raises BadRequest for missing and unknown columns,
        and for values that are no numbers or too far from the column's mean.
        """
        if isinstance(features, Mapping):
            missing = [column for column in self.columns if column not in features]
            unknown = [str(name) for name in features if name not in self.columns]
            if missing or unknown:
                problems = [f"missing: {', '.join(missing)}"] * bool(missing)
                problems += [f"unknown: {', '.join(unknown[:20])}"] * bool(unknown)
                raise BadRequest("features", "; ".join(problems))
            features = [features[column] for column in self.columns]
        if not isinstance(features, list):
            expected = f"{len(self.columns)} numbers, or an object by column name"
            raise BadRequest("features", f'send {{"features": ...}} with {expected}')
        if len(features) != len(self.columns):
            raise BadRequest(
                "features", f"{len(features)} numbers, but {len(self.columns)} columns: {', '.join(self.columns)}"
            )
        if {*map(type, features)} <= {int, float} and all(map(lt, map(abs, features), self._limits)):
            return list(map(float, features))  # the fast path; otherwise one by one, to name the wrong one
        return [self._number(*of) for of in zip(self.columns, features, self._limits, strict=True)]

    def standardize(self, x: Tensor) -> Tensor:
        """Convert (..., C) from the table's units to standard deviations from the mean."""
        mean, std = self._moments
        return (x - mean) / std

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.mean), torch.tensor(self.std)

    def standardize_target(self, y: Tensor) -> Tensor:
        """Convert targets from their unit to standard deviations from the mean."""
        return (y - self.target_mean) / self.target_std

    def unstandardize_target(self, y: float) -> float:
        """Convert the network's output to the unit of the target."""
        return y * self.target_std + self.target_mean

    @cached_property
    def _limits(self) -> list[float]:
        return [MAX_DEVIATIONS * (std + abs(mean)) for mean, std in zip(self.mean, self.std, strict=True)]

    def _number(self, column: str, value: Any, limit: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadRequest(f"features.{column}", "not a number")
        # Compared, not converted: an integer of 400 digits has no float. NaN is not below anything.
        if not -limit < value < limit:
            raise BadRequest(f"features.{column}", "not a finite number in a range that makes sense here")
        return float(value)
