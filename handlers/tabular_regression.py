"""A row of numbers -> a number."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from handlers import codecs
from handlers.base import Reply, TaskHandler
from handlers.codecs.table import TableCodec
from handlers.errors import BadRequest
from handlers.replies import NUMBER, STRING, array, schema
from handlers.row import Row


class TabularRegression(TaskHandler[list[float]]):
    """An item is C numbers in the table's units. Explains by integrated gradients from the average row."""

    REQUEST: ClassVar[Mapping[str, Any]] = {
        "application/json": {
            "schema": schema(
                features={"oneOf": [array(NUMBER), {"type": "object", "additionalProperties": {"type": "number"}}]}
            )
        }
    }
    REPLY: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, prediction=NUMBER)
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        prediction=NUMBER,
        baseline=NUMBER,
        convergence_delta=NUMBER,
        columns=array(schema(column=STRING, weight=NUMBER)),
    )

    def setup(self) -> None:
        self.codec = codecs.load(TableCodec, self.folder)

    def decode(self, row: Row) -> list[float]:
        return self.codec.numbers(row.field("features"))

    def collate(self, items: list[list[float]]) -> Tensor:
        table = torch.from_numpy(np.array(items, dtype=np.float32))  # four times as fast as torch.tensor
        return self.codec.standardize(table)  # (N, C), in standard deviations

    def forward(self, batch: Tensor) -> Sequence[float]:
        return cast("list[float]", self.run(batch).tolist())

    def encode(self, output: float, item: list[float]) -> Reply:  # noqa: ARG002 - the row itself is not repeated
        return {"prediction": self._in_units(output)}

    def explain(self, item: list[float], target: str | None) -> Reply:
        if target is not None:
            raise BadRequest("target", f"there is only one: {self.codec.target}")
        row = self.collate([item]).to(self.device)  # (1, C)
        average = torch.zeros_like(row)
        attributions, delta = IntegratedGradients(self.network).attribute(
            row, baselines=average, n_steps=self.card["serving"]["explain_steps"], return_convergence_delta=True
        )
        weights = (attributions[0] * self.codec.target_std).tolist()  # in the target's units
        return {
            "prediction": self._in_units(float(self.network(row))),
            "baseline": self._in_units(float(self.network(average))),
            "convergence_delta": float(delta) * self.codec.target_std,
            "columns": [
                {"column": column, "weight": round(weight, 6)}
                for column, weight in zip(self.codec.columns, weights, strict=True)
            ],
        }

    def _in_units(self, output: float) -> float:
        return round(self.codec.in_units(output), 6)
