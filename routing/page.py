"""The report of an experiment: one HTML page that needs nothing else."""

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

from routing import observed, plots
from routing.history import Change, State
from routing.plots import Span
from routing.statistics import LEAST
from routing.summary import Summary, alpha_of, summarize
from routing.verdict import MISMATCH
from routing.words import amount, milliseconds, percent

SIZE = (9.0, 3.2)  # inches


def write(engine: Engine, state: State, changes: Sequence[Change], folder: Path) -> Path:
    """Make `<experiment>.html` in that folder; `changes` are all of the experiment's, the newest first."""
    summary = summarize(engine, state, changes, time.time())
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{summary.experiment}.html"
    file.write_text(render(summary, changes, figures(engine, summary, changes)), encoding="utf-8")
    return file


def render(summary: Summary, changes: Sequence[Change], figures: dict[str, str]) -> str:
    """The page; names and reasons come from users, so everything is escaped."""
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
        least=LEAST,
    )


def figures(engine: Engine, summary: Summary, changes: Sequence[Change]) -> dict[str, str]:
    """Each plot that there are data for, as the URL of an image."""
    experiment = changes[0].state.experiment
    end = summary.at if summary.running else summary.last_change.at
    span = Span(summary.since, max(end, summary.since + 1))
    requests = observed.requests(engine, summary.experiment, summary.since)
    rewarded = observed.rewards(engine, summary.experiment, summary.since)
    found = {}
    if requests:
        found["shares"] = _drawn(plots.shares, experiment, requests, changes, span)
    if any(variant.p50 is not None for variant in summary.variants):
        found["latency"] = _drawn(plots.latency, experiment, requests, summary.since_weights)
    if any(each.comparison and each.comparison.difference.low is not None for each in summary.variants):
        found["reward"] = _drawn(plots.reward, experiment, rewarded, changes, span)
    return found


def moment(seconds: float) -> str:
    """2026-11-22 16:40 UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _drawn(plot: Callable[..., None], *arguments: Any) -> str:
    figure = Figure(SIZE, layout="constrained")
    axes: Axes = figure.subplots()
    plot(axes, *arguments)
    image = io.BytesIO()
    figure.savefig(image, format="svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(image.getvalue()).decode()}"
