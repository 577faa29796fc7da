"""Tabular prediction: rows of numbers, categories and dates -> a number each, or classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import ResponseLike
from handlers.classification import CLASS, ClassificationHandler, TopKInput
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import NUMBER, STRING, array, schema
from handlers.runtime.integrated_gradients import integrated_gradients
from handlers.runtime.shapley_values import shapley_values
from handlers.tables.table_schema import TableSchema

UNKNOWN = array(STRING)  # columns of a row whose category training didn't have
COLUMNS = array(schema(column=STRING, weight=NUMBER))
NUMBERS: dict[str, dict[str, Any]] = {
    "reply": schema(model=STRING, version=STRING, prediction=NUMBER, unknown=UNKNOWN),
    "explanation": schema(
        model=STRING, version=STRING, prediction=NUMBER, baseline=NUMBER, convergence_delta=NUMBER, columns=COLUMNS
    ),
}
CLASSES: dict[str, dict[str, Any]] = {
    "reply": schema(model=STRING, version=STRING, predictions=array(CLASS), unknown=UNKNOWN),
    "explanation": schema(
        model=STRING, version=STRING, target=CLASS, baseline=NUMBER, convergence_delta=NUMBER, columns=COLUMNS
    ),
}


class TabularPrediction(ClassificationHandler):
    """The codec's target decides: a number, or classes. Explains by integrated gradients from the average row,
    or an imported pipeline by Shapley values from its example.

    The network takes features, (N, F), and returns standardized numbers, (N,), or log-probabilities, (N, classes).
    """

    request_schema: ClassVar[Mapping[str, Any]] = {
        "application/json": {"schema": schema(features={"oneOf": [{"type": "object"}, array({})]})}
    }
    response_schema: ClassVar[Mapping[str, Any]] = {"oneOf": [NUMBERS["reply"], CLASSES["reply"]]}
    explanation_schema: ClassVar[Mapping[str, Any]] = {"oneOf": [NUMBERS["explanation"], CLASSES["explanation"]]}

    @classmethod
    def api_of(cls, folder: Path) -> dict[str, Any]:
        """Return the schemas of this table: its columns, and its kind of response."""
        codec = codecs.load(TableSchema, folder)
        body = schema(features=codec.json_schema())
        replies = CLASSES if codec.target_mean is None else NUMBERS
        return {"request": {"application/json": {"schema": body}}, **replies}

    def setup(self) -> None:
        """Load the codec, and the labels if the target has classes."""
        self.codec = codecs.load(TableSchema, self.folder)
        self.labels = self.label_names() if self.codec.target_mean is None else []

    def decode(self, request: Request) -> TopKInput[Any]:
        """Return codes and unknown categories of the row."""
        features = request.field("features")
        codes = self.codec.codes(features)
        return TopKInput.from_request(request, (codes, self.codec.unknown(features)))

    def collate(self, inputs: list[TopKInput[Any]]) -> Tensor:
        """Return the features of the rows, (N, F)."""
        return self.codec.features(self.codec.table([decoded.value[0] for decoded in inputs]))

    def encode(self, output: Tensor, decoded: TopKInput[Any]) -> ResponseLike:
        """Return the number in the target's units, or the most probable classes."""
        unknown = {"unknown": decoded.value[1]}
        if not self.labels:
            return {"prediction": self._in_units(output), **unknown}
        response = super().encode(output, decoded)
        assert isinstance(response, Mapping)
        return {**response, **unknown}

    def explain(self, decoded: TopKInput[Any], target: str | None) -> ResponseLike:
        """Return the weight of each column, in the target's units or the log-probability of a class."""
        if self.labels:
            return super().explain(decoded, target)
        if target is not None:
            raise BadRequest("target", f"there is only one: {self.codec.target}")
        row = self.collate([decoded]).to(self.device)
        prediction = self._in_units(self.network(row)[0])
        return {"prediction": prediction, **self.attribute(decoded, row, None)}

    def attribute(self, decoded: TopKInput[Any], batch: Tensor, target: int | None) -> Mapping[str, Any]:
        """Return the weights of the columns, which lead from the average row's output to that of the row."""
        del decoded
        average = torch.tensor([self.codec.average], device=batch.device)
        if getattr(self.network, "differentiable", True):
            steps = self.card["serving"]["explain_steps"]
            attributions, delta = integrated_gradients(self.network, batch, average, steps=steps, target=target)
            of_columns = self.codec.by_column(attributions[0].float())
        else:
            of_columns, delta = shapley_values(self.network, batch, average, self.codec.owners, target)
        scale, baseline = self.codec.target_std or 1.0, self.network(average)[0]
        weights = (of_columns * scale).tolist()
        return {
            "baseline": self._in_units(baseline) if target is None else round(float(baseline[target]), 6),
            "convergence_delta": delta * scale,
            "columns": [
                {"column": column.name, "weight": round(weight, 6)}
                for column, weight in zip(self.codec.columns, weights, strict=True)
            ],
        }

    def _in_units(self, output: Tensor) -> float:
        return round(self.codec.in_units(float(output)), 6)
