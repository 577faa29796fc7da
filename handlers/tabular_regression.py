"""Tabular regression: rows of numbers -> a number each."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from handlers import codecs
from handlers.base import ResponseLike, TaskHandler
from handlers.codecs.tabular import TableCodec
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import NUMBER, STRING, array, schema
from handlers.runtime.integrated_gradients import integrated_gradients


class TabularRegression(TaskHandler[list[float]]):
    """An input is C numbers in the table's units. Explains by integrated gradients from the average row."""

    request_schema: ClassVar[Mapping[str, Any]] = {
        "application/json": {
            "schema": schema(
                features={"oneOf": [array(NUMBER), {"type": "object", "additionalProperties": {"type": "number"}}]}
            )
        }
    }
    response_schema: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, prediction=NUMBER)
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        prediction=NUMBER,
        baseline=NUMBER,
        convergence_delta=NUMBER,
        columns=array(schema(column=STRING, weight=NUMBER)),
    )

    def setup(self) -> None:
        """Load the codec."""
        self.codec = codecs.load(TableCodec, self.folder)

    def decode(self, request: Request) -> list[float]:
        """Return the numbers of the row."""
        return self.codec.numbers(request.field("features"))

    def collate(self, inputs: list[list[float]]) -> Tensor:
        """Return the rows in standard deviations, (N, C)."""
        table = torch.from_numpy(np.array(inputs, dtype=np.float32))  # four times as fast as torch.tensor
        return self.codec.standardize(table)

    def forward(self, batch: Tensor) -> Sequence[float]:
        """Return a standardized prediction for each row."""
        return cast("list[float]", self.optimized_network(batch).tolist())

    def encode(self, output: float, decoded: list[float]) -> ResponseLike:  # noqa: ARG002 - the row is not repeated
        """Return the prediction in the target's units."""
        return {"prediction": self._in_units(output)}

    def explain(self, decoded: list[float], target: str | None) -> ResponseLike:
        """Return the weight of each column, in the target's units."""
        if target is not None:
            raise BadRequest("target", f"{self.codec.target} is the only target of this model; leave `target` out")
        row = self.collate([decoded]).to(self.device)  # (1, C)
        average = torch.zeros_like(row)
        attributions, delta = integrated_gradients(
            self.network, row, average, steps=self.card["serving"]["explain_steps"]
        )
        weights = (attributions[0] * self.codec.target_std).tolist()  # in the target's units
        return {
            "prediction": self._in_units(float(self.network(row))),
            "baseline": self._in_units(float(self.network(average))),
            "convergence_delta": delta * self.codec.target_std,
            "columns": [
                {"column": column, "weight": round(weight, 6)}
                for column, weight in zip(self.codec.columns, weights, strict=True)
            ],
        }

    def _in_units(self, output: float) -> float:
        return round(self.codec.unstandardize_target(output), 6)
