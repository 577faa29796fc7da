"""Report of an experiment: one HTML page with its plots, which loads nothing else."""

import base64
import io
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sqlalchemy import Engine

from marina.experiments import queries
from marina.experiments.history import Change, State
from marina.experiments.report import plots
from marina.experiments.report.formatting import MISMATCH, amount, milliseconds, percent
from marina.experiments.report.plots import Span
from marina.experiments.report.schema import Summary
from marina.experiments.report.summary import alpha_of, summarize
from marina.experiments.statistics.confidence_sequences import MIN_UNITS

SIZE = (9.0, 3.2)  # inches


def write(engine: Engine, state: State, changes: Sequence[Change], folder: Path) -> Path:
    """Write `<experiment>.html` into that folder and return its path; `changes` are all changes, newest first."""
    summary = summarize(engine, state, changes, time.time())
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{summary.experiment}.html"
    file.write_text(render(summary, changes, figures(engine, summary, changes)), encoding="utf-8")
    return file


def render(summary: Summary, changes: Sequence[Change], figures: dict[str, str]) -> str:
    """Return the page; names and reasons come from users, so everything is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"ms": milliseconds, "percent": percent, "amount": amount, "moment": moment}
    experiment = changes[0].state.experiment
    return environment.get_template("report.html.j2").render(
        summary=summary,
        changes=changes,
        figures=figures,
        colours=plots.colours(experiment),
        confidence=1 - alpha_of(experiment),
        mismatch=MISMATCH,
        least=MIN_UNITS,
    )


def figures(engine: Engine, summary: Summary, changes: Sequence[Change]) -> dict[str, str]:
    """Return each plot that there is data for, as the data URL of an image."""
    experiment = changes[0].state.experiment
    end = summary.at if summary.running else summary.last_change.at
    span = Span(summary.since, max(end, summary.since + 1))
    requests = queries.requests(engine, summary.experiment, summary.since)
    rewards = queries.rewards(engine, summary.experiment, summary.since)
    images = {}
    if requests:
        images["shares"] = _draw(plots.shares, experiment, requests, changes, span)
    if any(variant.p50 is not None for variant in summary.variants):
        images["latency"] = _draw(plots.latency, experiment, requests, summary.since_weights)
    if any(each.comparison and each.comparison.difference.low is not None for each in summary.variants):
        images["reward"] = _draw(plots.reward, experiment, rewards, changes, span)
    return images


def moment(seconds: float) -> str:
    """Return a time (seconds since the epoch) as text.

    >>> moment(1_763_800_000.0)
    '2025-11-22 08:26 UTC'
    """
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _draw(plot: Callable[..., None], *arguments: Any) -> str:
    """Return the data URL of a plot as SVG."""
    figure = Figure(SIZE, layout="constrained")
    axes: Axes = figure.subplots()
    plot(axes, *arguments)
    image = io.BytesIO()
    figure.savefig(image, format="svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(image.getvalue()).decode()}"
