"""Classes one by one: confusion, precision and recall, the ROC and PR curves with their areas."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics

MANY = 12  # classes; with more, a legend would cover the curves


def curves(
    truths: NDArray[np.int64], probabilities: NDArray[np.float64], labels: Sequence[str], plots: Path
) -> tuple[dict[str, float], dict[str, Any]]:
    """truths: (N,), probabilities: (N, classes) -> areas for the metrics, and numbers for the card.

    Classes that the test split lacks, or that are all of it, have no curves, and are left out of the means.
    """
    answers = probabilities.argmax(axis=1)
    every = range(len(labels))
    confusion = metrics.confusion_matrix(truths, answers, labels=every)
    table = zip(*metrics.precision_recall_fscore_support(truths, answers, labels=every, zero_division=0), strict=True)
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
        if len(labels) <= MANY and figure.axes[0].lines:
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
    """Both curves of one class against the rest; returns the areas below them."""
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
    display.plot(ax=figure.subplots(), cmap="Blues", include_values=len(labels) <= MANY)
    figure.savefig(file)
