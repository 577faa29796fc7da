"""What all classification has in common: the loss, and everything that cards show of classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from torch import Tensor, nn
from torchmetrics import Accuracy, Metric

from training.classes import curves
from training.task import Task


class Classification(Task):
    """Outputs are logits (N, classes), targets (N,) of int64; a reply's best prediction comes first."""

    METRIC = "accuracy"

    def new_metric(self) -> Metric:
        return Accuracy(task="multiclass", num_classes=len(self.data.labels))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.recipe.label_smoothing if self.training else 0.0
        return nn.functional.cross_entropy(outputs, targets, label_smoothing=smoothing)

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Accuracy, and the means over classes of precision, recall and F1."""
        answers = [reply["predictions"][0]["label"] for reply in replies]
        means = precision_recall_fscore_support(truths, answers, average="macro", zero_division=0)[:3]
        names = ("precision", "recall", "f1")
        return {"accuracy": float(accuracy_score(truths, answers))} | dict(zip(names, map(float, means), strict=True))

    @property
    def options(self) -> dict[str, str]:
        return {"top": str(len(self.data.labels))}  # every class: the curves need all probabilities

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        labels = self.data.labels
        named = ({row["label"]: row["probability"] for row in reply["predictions"]} for reply in replies)
        probabilities = np.array([[row[label] for label in labels] for row in named])  # (N, classes)
        return curves(np.array([labels.index(truth) for truth in truths]), probabilities, labels, plots)
