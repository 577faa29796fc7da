"""Tabular prediction: rows of numbers, categories and dates -> a number each, or classes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics import Accuracy, MeanSquaredError, Metric

from handlers.tables.table_schema import TableSchema, with_moments
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest, Task
from marina.training.tasks.common.classification import Classification, classification_report
from marina.training.tasks.tabular_prediction import table_comparison, table_fitting
from marina.training.tasks.tabular_regression.task import TabularRegression


class TabularPrediction(Task):
    """Examples are codes, (N, codes); a batch is expanded to features. Targets are standardized numbers, or classes.

    The batch size of the recipe is that of small tables: an epoch has MAX_STEPS steps at most.
    """

    codec: TableSchema

    def prepare(self) -> None:
        if not self.data.kinds:
            raise ValueError(
                "the data are no table: DATA= takes a .csv or .parquet file, TARGET= the column to predict"
            )
        self.classes = len(self.data.labels)
        self.METRIC = "accuracy" if self.classes else "rmse"
        train, beyond = self.data.train, chain(self.data.validation.inputs, self.data.test.inputs)
        schema = TableSchema.fit(self.data.kinds, train.inputs, beyond, self.data.ignored, self.data.columns[-1])
        codes = schema.table(schema.codes(row) for row in train.inputs)
        numbers = None if self.classes else torch.tensor(train.targets, dtype=torch.float64)
        self.codec = with_moments(schema, codes, numbers)
        self.arguments = {"in_features": self.codec.width, "num_classes": self.classes}

    def encode(self, split: Split) -> Examples:
        codes = self.codec.table(map(self.codec.codes, split.inputs))
        if self.classes:
            return Examples(codes, torch.tensor(split.targets))
        numbers = torch.tensor(split.targets, dtype=torch.float64)
        return Examples(codes, self.codec.standardize_target(numbers).float())

    def inputs(self, batch: Tensor) -> Tensor:
        """Return the features of a batch of codes."""
        return self.codec.features(batch)

    def new_metric(self) -> Metric:
        if self.classes:
            return Accuracy(task="multiclass", num_classes=self.classes)
        return MeanSquaredError(squared=False)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss; in training, outputs have a dimension of members, (N, E, ...)."""
        return table_fitting.loss(outputs, targets, self.classes)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Any]]:
        self.recipe = table_fitting.sized(self.recipe, len(self.train_examples))
        return super().train_dataloader()

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        names = data.columns[:-1]
        for row, target in zip(data.test.inputs, data.test.targets, strict=True):
            body = json.dumps({"features": dict(zip(names, row, strict=True))}, ensure_ascii=False).encode()
            yield EvaluationRequest(body, "application/json", data.labels[target] if data.labels else target)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the metrics of classes; of numbers the root mean squared and mean absolute error, and R2."""
        if "predictions" in responses[0]:
            return Classification.score(truths, responses)
        errors = TabularRegression.score(truths, responses)
        variance = float(np.var(np.asarray(truths, dtype=np.float64)))
        r2 = 1 - errors["holdout_rmse"] ** 2 / variance if variance else 0.0
        return {"rmse": errors["holdout_rmse"], "mae": errors["holdout_mae"], "r2": r2}

    @property
    def options(self) -> dict[str, str]:
        return {"top": str(self.classes)} if self.classes else {}  # the curves need all probabilities

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the baselines on the same splits, and the folds of both, as members of card.json."""
        comparison = table_comparison.compare(self)
        for line in table_comparison.lines(comparison):
            print(f"  {line}", flush=True)
        if not self.classes:
            figure = Figure((5, 5), layout="constrained")
            axes = figure.subplots()
            axes.scatter(truths, [response["prediction"] for response in responses], s=12)
            axes.axline((min(truths), min(truths)), slope=1, color="grey", linewidth=1)
            axes.set(xlabel=f"{self.codec.target}, true", ylabel=f"{self.codec.target}, predicted", title="test split")
            figure.savefig(plots / "predictions.png")
            return {}, comparison
        labels = self.data.labels
        named = ({row["label"]: row["probability"] for row in response["predictions"]} for response in responses)
        probabilities = np.array([[row[label] for label in labels] for row in named])  # (N, classes)
        numbers = np.array([labels.index(truth) for truth in truths])
        metrics, facts = classification_report(numbers, probabilities, labels, plots)
        return metrics, {**facts, **comparison}
