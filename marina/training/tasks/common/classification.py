"""Classification in several tasks: loss, metrics, and the classification report of a card."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from torch import Tensor, nn
from torchmetrics import Accuracy, Metric

from marina.training.task import Task


class Classification(Task):
    """Outputs are logits (N, classes), targets (N,) of int64; a response's best prediction comes first."""

    METRIC = "accuracy"

    def new_metric(self) -> Metric:
        return Accuracy(task="multiclass", num_classes=len(self.data.labels))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.recipe.label_smoothing if self.training else 0.0
        return nn.functional.cross_entropy(outputs, targets, label_smoothing=smoothing)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return accuracy, and the means over classes of precision, recall and F1."""
        predicted = [response["predictions"][0]["label"] for response in responses]
        means = precision_recall_fscore_support(truths, predicted, average="macro", zero_division=0)[:3]
        names = ("precision", "recall", "f1")
        return {"accuracy": float(accuracy_score(truths, predicted))} | dict(zip(names, map(float, means), strict=True))

    @property
    def options(self) -> dict[str, str]:
        return {"top": str(len(self.data.labels))}  # every class: the curves need all probabilities

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        labels = self.data.labels
        named = ({row["label"]: row["probability"] for row in response["predictions"]} for response in responses)
        probabilities = np.array([[row[label] for label in labels] for row in named])  # (N, classes)
        return classification_report(np.array([labels.index(truth) for truth in truths]), probabilities, labels, plots)


MAX_LABELLED_CLASSES = 12  # classes; with more, a legend would cover the curves


def classification_report(
    truths: NDArray[np.int64], probabilities: NDArray[np.float64], labels: Sequence[str], plots: Path
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return areas under the curves as metrics, and confusion matrix and class metrics for card.json; draw the ROC and
    PR curves and the confusion matrix.

    truths: (N,), probabilities: (N, classes). Classes that the test split lacks, or that are all of it, have no curves,
    and are left out of the means.
    """
    predicted = probabilities.argmax(axis=1)
    every = range(len(labels))
    confusion = metrics.confusion_matrix(truths, predicted, labels=every)
    table = zip(*metrics.precision_recall_fscore_support(truths, predicted, labels=every, zero_division=0), strict=True)
    classes: dict[str, dict[str, float]] = {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for label, (p, r, f, s) in zip(labels, table, strict=True)
    }
    roc, pr = Figure((6, 5), layout="constrained"), Figure((6, 5), layout="constrained")
    roc_axes, pr_axes = roc.subplots(), pr.subplots()
    for place, label in enumerate(labels):
        if 0 < (truths == place).sum() < len(truths):
            own = (truths == place).astype(int)
            classes[label] |= _draw(own, probabilities[:, place], label, roc_axes, pr_axes)
    for figure, name in ((roc, "roc"), (pr, "precision_recall")):
        if len(labels) <= MAX_LABELLED_CLASSES and figure.axes[0].lines:
            figure.axes[0].legend(fontsize="small")
        figure.savefig(plots / f"{name}.png")
    _draw_confusion(confusion, labels, plots / "confusion_matrix.png")
    areas = {
        area: float(np.mean([row[area] for row in classes.values() if area in row]))
        for area in ("roc_auc", "average_precision")
        if any(area in row for row in classes.values())
    }
    return areas, {"confusion_matrix": confusion.tolist(), "classes": classes}


def _draw(truths: NDArray[np.int64], scores: NDArray[np.float64], label: str, roc: Axes, pr: Axes) -> dict[str, float]:
    """Draw both curves of one class against the rest, and return the areas under them."""
    false_positives, true_positives, _ = metrics.roc_curve(truths, scores)
    precision, recall, _ = metrics.precision_recall_curve(truths, scores)
    areas = {
        "roc_auc": float(metrics.auc(false_positives, true_positives)),
        "average_precision": float(metrics.average_precision_score(truths, scores)),
    }
    roc.plot(false_positives, true_positives, label=f"{label}: AUC {areas['roc_auc']:.4f}")
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC, each class against the rest")
    pr.plot(recall, precision, label=f"{label}: AUC {areas['average_precision']:.4f}")
    pr.set(xlabel="recall", ylabel="precision", title="precision and recall, each class against the rest")
    return areas


def _draw_confusion(confusion: NDArray[np.int64], labels: Sequence[str], file: Path) -> None:
    figure = Figure((7, 6), layout="constrained")
    display = metrics.ConfusionMatrixDisplay(confusion, display_labels=labels)
    display.plot(ax=figure.subplots(), cmap="Blues", include_values=len(labels) <= MAX_LABELLED_CLASSES)
    figure.savefig(file)
