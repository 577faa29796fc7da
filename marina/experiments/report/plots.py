"""Plots of an experiment's report, each drawn on given axes. Times are in seconds since the epoch."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from marina.experiments.history import Change
from marina.experiments.queries import Requests, UnitReward
from marina.experiments.report.summary import alpha_of, reward_bounds
from marina.experiments.spec import Experiment
from marina.experiments.statistics.confidence_sequences import Arm, Interval, difference

MOMENTS = 60
# Okabe, Ito: distinct for colour-blind readers, too
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
UNMARKED = {"ramp", "bandit"}  # changes without a mark: there may be hundreds, and the dashed weights show them

Array = NDArray[np.float64]


class Span(NamedTuple):
    """The range of time that a plot shows."""

    start: float
    end: float


def colours(experiment: Experiment) -> dict[str, str]:
    """Return the colour of each variant, the same in all plots and tables."""
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(experiment.weights)}


def shares(
    axes: Axes, experiment: Experiment, requests: Mapping[str, Requests], changes: Sequence[Change], span: Span
) -> None:
    """Plot the observed shares as lines, and the weights as dashed lines."""
    edges = np.linspace(*span, MOMENTS + 1)
    counts = {name: np.histogram(it.at, edges)[0] for name, it in requests.items()}
    total = sum(counts.values(), np.zeros(MOMENTS))
    in_span = [change for change in reversed(changes) if change.at >= span.start]
    starts = [*(change.at for change in in_span), span.end]
    for name, colour in colours(experiment).items():
        weights = [change.state.experiment.weights.get(name, 0.0) for change in in_span]
        expected = [*weights, *weights[-1:]]
        axes.step(_dates(starts), expected, where="post", color=colour, linestyle="--", linewidth=1, alpha=0.7)
        observed = np.full(MOMENTS, np.nan)
        np.divide(100 * counts.get(name, np.zeros(MOMENTS)), total, out=observed, where=total > 0)
        axes.plot(_dates((edges[1:] + edges[:-1]) / 2), observed, ".-", color=colour, markersize=3, label=name)
    axes.set(ylim=(-3, 103), ylabel="share of the requests, %")
    _over_time(axes, changes, span)


def reward(
    axes: Axes, experiment: Experiment, rewards: Sequence[UnitReward], changes: Sequence[Change], span: Span
) -> None:
    """Plot the difference from the control over time, of the rewards given by then, with its always-valid interval."""
    moments = np.linspace(*span, MOMENTS + 1)[1:]
    tops = [0.0]
    for name, colour in colours(experiment).items():
        if name == experiment.control:
            continue
        intervals = differences(experiment, name, rewards, moments)
        estimates, low, high = np.array([(it.estimate, it.low, it.high) for it in intervals]).T
        known = np.isfinite(low)
        if known.any():
            dates = _dates(moments[known])
            axes.fill_between(dates, low[known], high[known], color=colour, alpha=0.2, linewidth=0)
            axes.plot(dates, estimates[known], color=colour, label=f"{name} - {experiment.control}")
            settled = slice(known.sum() // 4, None)  # the first, wide intervals would flatten the others
            tops.append(float(np.abs((low[known][settled], high[known][settled])).max()))
    top = 1.1 * max(tops) or 1.0
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(ylim=(-top, top), ylabel="mean reward, difference")
    _over_time(axes, changes, span)


def differences(
    experiment: Experiment, treatment: str, rewards: Sequence[UnitReward], moments: Array
) -> list[Interval]:
    """Return the treatment's mean reward minus the control's, of the units with feedback by each of these moments."""

    bounds = reward_bounds(experiment, rewards)

    def over_time(name: str) -> list[Arm]:
        pairs = [(unit.at, unit.reward) for unit in rewards if unit.variant == name]
        at, values = np.array(pairs).reshape(-1, 2).T  # in order of time
        counts = np.searchsorted(at, moments, side="right").tolist()
        return Arm.over_time(name, values, counts, bounds)

    arms = zip(over_time(treatment), over_time(experiment.control), strict=True)
    return [difference(arm, control, alpha_of(experiment)) for arm, control in arms]


def latency(axes: Axes, experiment: Experiment, requests: Mapping[str, Requests], since: float) -> None:
    """Plot the distribution of the latency of successful responses to requests since then."""
    parts = np.linspace(0, 1, 501)  # a point for each request would make a page of many megabytes
    for name, colour in colours(experiment).items():
        if name in requests:
            seconds = requests[name].seconds[requests[name].at >= since]
            seconds = seconds[~np.isnan(seconds)]
            if len(seconds):
                axes.plot(1000 * np.quantile(seconds, parts), 100 * parts, color=colour, label=name)
    axes.set(xscale="log", xlabel="latency, ms", ylabel="answered within it, %", ylim=(0, 101))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(alpha=0.3)
    axes.axhline(99, color="grey", linewidth=0.8, linestyle=":")
    _legend(axes)


def _over_time(axes: Axes, changes: Sequence[Change], span: Span) -> None:
    """Format the time axis (UTC), and draw a line at each change."""
    for change in changes:
        if change.at > span.start and change.what not in UNMARKED:
            axes.axvline(_dates([change.at])[0], color="grey", linewidth=0.8, linestyle=":")
            axes.annotate(
                change.what,
                (_dates([change.at])[0], 1),
                xycoords=("data", "axes fraction"),
                fontsize="x-small",
                rotation=90,
                va="top",
                ha="right",
                color="grey",
            )
    axes.set_xlim(*_dates(span))
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))  # type: ignore[no-untyped-call]
    axes.grid(alpha=0.3)
    _legend(axes)


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize="small")


def _dates(seconds: Sequence[float] | Array) -> NDArray[np.datetime64]:
    """Return UTC dates, as matplotlib reads them."""
    return (1e6 * np.asarray(seconds, dtype=float)).astype("datetime64[us]")
