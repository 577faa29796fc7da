"""Image tagging: images -> any number of labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MultilabelF1Score

from handlers.vision.tags import THRESHOLD
from marina.training.data.dataset import Dataset
from marina.training.tasks.common.image_labels import ImageLabels

MIN_LABELS = 2
MAX_CURVES = 12  # with more, a legend would cover the curves


class LogitF1(MultilabelF1Score):
    """F1 of all labels together at a probability of 0.5, with the arguments that a task's metric receives."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds.sigmoid(), target.int())


class ImageTagging(ImageLabels):
    """Targets are (N, labels) of 0 and 1; each label has a binary cross entropy.

    The targets of a split are the numbers of each image's labels, or the one number of a data set of classes.
    """

    METRIC = "f1"

    def prepare(self) -> None:
        if len(self.data.labels) < MIN_LABELS:
            raise ValueError(f"image_tagging needs {MIN_LABELS} labels; the data have {len(self.data.labels)}")
        super().prepare()

    def encode_one(self, file: bytes, target: Sequence[int] | int) -> tuple[Tensor, Tensor]:
        """Return the pixels of an image, and 1 for each of its labels, (labels,)."""
        (row,) = indicators([numbers(target)], len(self.data.labels))
        return self.codec.pixels(file), torch.from_numpy(row).float()

    @classmethod
    def truth(cls, data: Dataset, target: Sequence[int] | int) -> list[str]:
        """Return the names of the labels."""
        return [data.labels[number] for number in numbers(target)]

    def new_metric(self) -> Metric:
        return LogitF1(len(self.data.labels), average="micro")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(outputs, targets)

    @property
    def options(self) -> dict[str, str]:
        return {"threshold": "0"}  # every label: average precision needs all probabilities

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return F1 of all tags together, precision and recall, the mean over labels of F1, and the share of images
        whose tags are all right; a tag counts from a probability of 0.5 on.
        """
        named = [
            [tag["label"] for tag in response["tags"] if tag["probability"] >= THRESHOLD] for response in responses
        ]
        labels = sorted({label for each in (*truths, *named) for label in each})
        right, found = (
            indicators([[labels.index(label) for label in each] for each in rows], len(labels))
            for rows in (truths, named)
        )
        hits, returned, shown = ((right & found).sum(axis=0), found.sum(axis=0), right.sum(axis=0))  # of each label
        each = 2 * hits / np.maximum(1, returned + shown)
        return {
            "f1": float(2 * hits.sum() / max(1, returned.sum() + shown.sum())),
            "precision": float(hits.sum() / max(1, returned.sum())),
            "recall": float(hits.sum() / max(1, shown.sum())),
            "f1_macro": float(each.mean()) if len(each) else 0.0,
            "subset_accuracy": float((right == found).all(axis=1).mean()),
        }

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the mean average precision, and each label's; draw the curves of precision over recall."""
        labels = self.data.labels
        named = [{tag["label"]: tag["probability"] for tag in response["tags"]} for response in responses]
        probabilities = np.array([[row[label] for label in labels] for row in named])  # (N, labels)
        right = indicators([[labels.index(label) for label in each] for each in truths], len(labels))
        precisions = {
            label: float(average_precision_score(right[:, place], probabilities[:, place]))
            for place, label in enumerate(labels)
            if 0 < right[:, place].sum() < len(right)
        }
        figure = Figure((6, 5), layout="constrained")
        axes = figure.subplots()
        for label, area in precisions.items():
            place = labels.index(label)
            precision, recall, _ = precision_recall_curve(right[:, place], probabilities[:, place])
            axes.plot(recall, precision, label=f"{label}: {area:.4f}")
        axes.set(xlabel="recall", ylabel="precision", title="precision and recall of each label")
        if 0 < len(precisions) <= MAX_CURVES:
            axes.legend(fontsize="small")
        figure.savefig(plots / "precision_recall.png")
        metrics = {"map": float(np.mean([*precisions.values()]))} if precisions else {}
        return metrics, {
            "classes": {
                label: {"support": int(right[:, place].sum()), "average_precision": precisions.get(label)}
                for place, label in enumerate(labels)
            }
        }


def numbers(target: Sequence[int] | int) -> Sequence[int]:
    """Return the numbers of an image's labels."""
    return [target] if isinstance(target, int) else target


def indicators(rows: Sequence[Sequence[int]], count: int) -> NDArray[np.int64]:
    """Return 1 for each number of a row, otherwise 0: (N, count).

    >>> indicators([[0, 2], []], 3).tolist()
    [[1, 0, 1], [0, 0, 0]]
    """
    found = np.zeros((len(rows), count), dtype=np.int64)
    for place, row in enumerate(rows):
        found[place, list(row)] = 1
    return found
