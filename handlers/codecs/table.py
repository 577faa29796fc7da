"""Tables: a row of numbers, by position or by column name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import lt
from typing import Any

import torch
from torch import Tensor

from handlers.errors import BadRequest

FAR = 1e6  # standard deviations; beyond it a number is a slip, and would drown all others


@dataclass(frozen=True)
class TableCodec:
    """The columns in order with the mean and standard deviation of each, and those of the target."""

    columns: Sequence[str]
    mean: Sequence[float]
    std: Sequence[float]
    target: str
    target_mean: float
    target_std: float

    @classmethod
    def fit(cls, columns: Sequence[str], x: Tensor, target: str, y: Tensor) -> "TableCodec":
        """The codec for training rows x: (N, C) and targets y: (N,). A constant column keeps a deviation of 1."""
        std = torch.where(x.std(dim=0) > 0, x.std(dim=0), 1.0)
        return cls(list(columns), x.mean(dim=0).tolist(), std.tolist(), target, float(y.mean()), float(y.std()) or 1.0)

    def numbers(self, features: Any) -> list[float]:
        """A list of numbers, or an object by column name -> the numbers in order; raises BadRequest."""
        if isinstance(features, Mapping):
            missing = [column for column in self.columns if column not in features]
            unknown = [str(name) for name in features if name not in self.columns]
            if missing or unknown:
                faults = [f"missing: {', '.join(missing)}"] * bool(missing)
                faults += [f"unknown: {', '.join(unknown[:20])}"] * bool(unknown)
                raise BadRequest("features", "; ".join(faults))
            features = [features[column] for column in self.columns]
        if not isinstance(features, list):
            wanted = f"{len(self.columns)} numbers, or an object by column name"
            raise BadRequest("features", f'send {{"features": ...}} with {wanted}')
        if len(features) != len(self.columns):
            raise BadRequest(
                "features", f"{len(features)} numbers, but {len(self.columns)} columns: {', '.join(self.columns)}"
            )
        if {*map(type, features)} <= {int, float} and all(map(lt, map(abs, features), self._limits)):
            return list(map(float, features))  # as nearly all are, so quickly; else one by one, to say which is wrong
        return [self._number(*of) for of in zip(self.columns, features, self._limits, strict=True)]

    def standardize(self, x: Tensor) -> Tensor:
        """(..., C) in the table's units -> the same in standard deviations from the mean."""
        mean, std = self._moments
        return (x - mean) / std

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.mean), torch.tensor(self.std)

    def standardize_target(self, y: Tensor) -> Tensor:
        return (y - self.target_mean) / self.target_std

    def in_units(self, y: float) -> float:
        """What the network says -> the units of the target."""
        return y * self.target_std + self.target_mean

    @cached_property
    def _limits(self) -> list[float]:
        return [FAR * (std + abs(mean)) for mean, std in zip(self.mean, self.std, strict=True)]

    def _number(self, column: str, value: Any, limit: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadRequest(f"features.{column}", "not a number")
        # Compared, not converted: an integer of 400 digits has no float. NaN is not below anything.
        if not -limit < value < limit:
            raise BadRequest(f"features.{column}", "not a finite number in a range that makes sense here")
        return float(value)
