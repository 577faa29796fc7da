"""Tabular regression: a row of numbers -> a number."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import MeanSquaredError, Metric

from handlers.codecs.tabular import TableCodec
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest, Task
from marina.training.tasks.tabular_regression import cross_validation


class TabularRegression(Task):
    """Columns and target are standardized; the logs' RMSE is in standard deviations of the target."""

    METRIC = "rmse"
    codec: TableCodec

    def prepare(self) -> None:
        *columns, target = self.data.columns
        rows, targets = (torch.tensor(values) for values in (list(self.data.train.inputs), self.data.train.targets))
        self.codec = TableCodec.fit(columns, rows, target, targets)
        self.arguments = {"in_features": len(columns)}

    def encode(self, split: Split) -> Examples:
        rows, targets = torch.tensor(list(split.inputs)), torch.tensor(split.targets)
        return Examples(self.codec.standardize(rows), self.codec.standardize_target(targets))

    def new_metric(self) -> Metric:
        return MeanSquaredError(squared=False)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.mse_loss(outputs, targets)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for row, target in zip(data.test.inputs, data.test.targets, strict=True):
            yield EvaluationRequest(json.dumps({"features": row}).encode(), "application/json", target)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the root mean squared and the mean absolute error on the hold-out split, in the target's units."""
        errors = torch.tensor([response["prediction"] for response in responses]) - torch.tensor(truths)
        return {"holdout_rmse": float(errors.square().mean().sqrt()), "holdout_mae": float(errors.abs().mean())}

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Return `rmse`, the mean over 20 random splits, as arXiv:1506.02142 and others report it."""
        figure = Figure((5, 5), layout="constrained")
        axes = figure.subplots()
        axes.scatter(truths, [response["prediction"] for response in responses], s=12)
        axes.axline((min(truths), min(truths)), slope=1, color="grey", linewidth=1)
        axes.set(xlabel=f"{self.codec.target}, true", ylabel=f"{self.codec.target}, predicted", title="hold-out split")
        figure.savefig(plots / "predictions.png")
        evaluations = cross_validation.evaluate(self.card.network, self.recipe, self.data)
        return {"rmse": evaluations["random_splits"]["rmse_mean"]}, {"cross_validation": evaluations}
