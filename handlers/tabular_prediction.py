"""Tabular prediction: rows of numbers, categories and dates -> a number (regression) or classes (classification)."""

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

UNKNOWN_COLUMNS = array(STRING)  # columns of a row whose category is not in the training data
COLUMN_WEIGHTS = array(schema(column=STRING, weight=NUMBER))
REGRESSION_SCHEMAS: dict[str, dict[str, Any]] = {
    "reply": schema(model=STRING, version=STRING, prediction=NUMBER, unknown=UNKNOWN_COLUMNS),
    "explanation": schema(
        model=STRING,
        version=STRING,
        prediction=NUMBER,
        baseline=NUMBER,
        convergence_delta=NUMBER,
        columns=COLUMN_WEIGHTS,
    ),
}
CLASSIFICATION_SCHEMAS: dict[str, dict[str, Any]] = {
    "reply": schema(model=STRING, version=STRING, predictions=array(CLASS), unknown=UNKNOWN_COLUMNS),
    "explanation": schema(
        model=STRING, version=STRING, target=CLASS, baseline=NUMBER, convergence_delta=NUMBER, columns=COLUMN_WEIGHTS
    ),
}


class TabularPrediction(ClassificationHandler):
    """Handler for regression if the codec's target is a number (it has a `target_mean`), for classification otherwise.

    Explanations are integrated gradients, or Shapley values for an imported pipeline, which has no gradients. Their
    baseline is the codec's `average`: the mean row of the training data, or the example row of the pipeline.

    The network takes features, (N, F), and returns standardized numbers, (N,), or log-probabilities, (N, classes).
    """

    request_schema: ClassVar[Mapping[str, Any]] = {
        "application/json": {"schema": schema(features={"oneOf": [{"type": "object"}, array({})]})}
    }
    response_schema: ClassVar[Mapping[str, Any]] = {
        "oneOf": [REGRESSION_SCHEMAS["reply"], CLASSIFICATION_SCHEMAS["reply"]]
    }
    explanation_schema: ClassVar[Mapping[str, Any]] = {
        "oneOf": [REGRESSION_SCHEMAS["explanation"], CLASSIFICATION_SCHEMAS["explanation"]]
    }

    @classmethod
    def api_of(cls, folder: Path) -> dict[str, Any]:
        """Return the schemas of this table: its columns, and its kind of response."""
        codec = codecs.load(TableSchema, folder)
        body = schema(features=codec.json_schema())
        replies = CLASSIFICATION_SCHEMAS if codec.target_mean is None else REGRESSION_SCHEMAS
        return {"request": {"application/json": {"schema": body}}, **replies}

    def setup(self) -> None:
        """Load the codec, and the labels if the target has classes."""
        self.codec = codecs.load(TableSchema, self.folder)
        self.labels = self.label_names() if self.codec.target_mean is None else []

    def decode(self, request: Request) -> TopKInput[Any]:
        """Return the row as numbers (`TableSchema.codes`), and its columns with an unknown category."""
        features = request.field("features")
        codes = self.codec.codes(features)
        return TopKInput.from_request(request, (codes, self.codec.unknown(features)))

    def collate(self, inputs: list[TopKInput[Any]]) -> Tensor:
        """Expand the codes of the rows to the network's input, (N, F)."""
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
            raise BadRequest("target", f"{self.codec.target} is the only target of this model; leave `target` out")
        row = self.collate([decoded]).to(self.device)
        prediction = self._in_units(self.network(row)[0])
        return {"prediction": prediction, **self.attribute(decoded, row, None)}

    def attribute(self, decoded: TopKInput[Any], batch: Tensor, target: int | None) -> Mapping[str, Any]:
        """Return the weights of the columns: up to a delta, their sum is the row's output less the average row's."""
        del decoded
        average = torch.tensor([self.codec.average], device=batch.device)
        if getattr(self.network, "differentiable", True):
            steps = self.card["serving"]["explain_steps"]
            attributions, delta = integrated_gradients(self.network, batch, average, steps=steps, target=target)
            column_weights = self.codec.by_column(attributions[0].float())
        else:
            column_weights, delta = shapley_values(self.network, batch, average, self.codec.owners, target)
        scale, baseline = self.codec.target_std or 1.0, self.network(average)[0]
        weights = (column_weights * scale).tolist()
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
