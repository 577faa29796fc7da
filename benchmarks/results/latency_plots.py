"""Plots of p99 over rate: the closed loop of each workload, and LoadGen's probes."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.campaign import P99_BOUND
from benchmarks.results.records import Records

Points = dict[str, list[tuple[float, float]]]


def draw(records: Records, workloads: Sequence[str], folder: Path) -> None:
    """Write PNG files into `folder`."""
    for name in workloads:
        _draw(_closed(records, name), f"{name}, closed loop: 1, 16 and 32 connections", folder / f"{name}-closed.png")
    _draw(_probes(records), "W1, open loop (Poisson arrivals)", folder / "W1-open.png", bound=1000 * P99_BOUND)


def _closed(records: Records, workload: str) -> Points:
    """Return the medians of the rounds, a point for each concurrency."""
    values: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for step, found in records.found.items():
        if (step.workload, step.kind) == (workload, "closed"):
            values[step.stack, step.load].append((found["rate"], 1000 * found["p99"]))
    points: Points = defaultdict(list)
    for (stack, _), pairs in sorted(values.items()):
        rate, p99 = np.median(pairs, axis=0)
        points[stack].append((float(rate), float(p99)))
    return points


def _probes(records: Records) -> Points:
    return {
        step.stack: sorted((probe["rate"], 1000 * probe["p99"]) for probe in found["probes"])
        for step, found in records.found.items()
        if step.kind == "server"
    }


def _draw(points: Points, title: str, file: Path, bound: float | None = None) -> None:
    if not points:
        return
    figure, axes = plt.subplots(figsize=(8, 5))
    for name, pairs in points.items():
        axes.plot(*zip(*pairs, strict=True), marker="o", label=name, linewidth=2.5 if "marina" in name else 1.2)
    if bound is not None:
        axes.axhline(bound, color="grey", linestyle=":", label=f"{bound:.0f} ms")
    axes.set(title=title, xlabel="responses per second", ylabel="p99, ms", yscale="log")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120, bbox_inches="tight")
    plt.close(figure)
