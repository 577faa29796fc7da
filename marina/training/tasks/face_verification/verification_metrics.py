"""Metrics of face verification by similarity: the ROC of all pairs, the equal error rate, the nearest neighbour."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

Floats = NDArray[np.float64]


def pairs(similarities: Floats, people: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the similarities of all N * (N - 1) / 2 pairs, from (N, N), and whether each pair is of one person."""
    names = np.asarray(people)
    above = np.triu_indices(len(names), k=1)
    return similarities[above], (names[:, None] == names[None])[above]


def against_gallery(similarities: Floats, people: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the similarities of each image to each person, from (N, N), and whether the image is of that person.

    All other images of a person are enrolled and the most similar one counts, as in a gallery.
    """
    names = np.asarray(people)
    others = np.where(np.eye(len(names), dtype=bool), -np.inf, similarities)
    known = sorted(set(people))
    best = np.stack([others[:, names == person].max(axis=1) for person in known], axis=1)  # (N, people)
    return best[np.isfinite(best)], (names[:, None] == np.array(known)[None])[np.isfinite(best)]


def equal_error_rate(similarities: Floats, same: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the rate at which as many pairs of one person are rejected as pairs of two are accepted, and the threshold
    where that is so; between two thresholds, the mean of both rates.
    """
    false_accepts, true_accepts, thresholds = roc_curve(same, similarities, drop_intermediate=False)
    false_rejects = 1 - true_accepts
    place = int(np.abs(false_accepts - false_rejects).argmin())
    return float((false_accepts[place] + false_rejects[place]) / 2), float(thresholds[place])


def rates(similarities: Floats, same: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    """Return the error rates at the threshold."""
    accepted = similarities >= threshold
    return {"false_accept_rate": float(accepted[~same].mean()), "false_reject_rate": float((~accepted)[same].mean())}


def nearest_neighbour(similarities: Floats, people: Sequence[str]) -> float:
    """Return the share of images, (N, N), whose most similar other image is of the same person. People with a single
    image cannot be found, and do not count.
    """
    names = np.asarray(people)
    others = np.where(np.eye(len(names), dtype=bool), -np.inf, similarities)
    found = names[others.argmax(axis=1)] == names
    return float(found[(names[:, None] == names[None]).sum(axis=1) > 1].mean())


def verification_rates(similarities: Floats, people: Sequence[str]) -> dict[str, float]:
    """Return the metrics of all images among each other: (N, N)."""
    values, same = pairs(similarities, people)
    return {
        "nearest_neighbour": nearest_neighbour(similarities, people),
        "equal_error_rate": equal_error_rate(values, same)[0],
        "gallery_equal_error_rate": equal_error_rate(*against_gallery(similarities, people))[0],
        "roc_auc": float(roc_auc_score(same, values)),
    }


def draw(curves: dict[str, tuple[Floats, NDArray[np.bool_]]], file: Path) -> None:
    """Draw the ROC of each named set of pairs; the axis of false accepts is logarithmic, because few of them matter."""
    figure = Figure((6, 5), layout="constrained")
    axes = figure.subplots()
    for name, (values, same) in curves.items():
        false_accepts, true_accepts, _ = roc_curve(same, values)
        label = f"{name}: EER {equal_error_rate(values, same)[0]:.2%}"
        axes.plot(false_accepts, true_accepts, label=label)
    axes.set(xscale="log", xlabel="false accept rate", ylabel="true accept rate", title="ROC, people never seen")
    axes.legend(loc="lower right")
    figure.savefig(file)
