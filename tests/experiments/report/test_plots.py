"""Plots of a report: data, colours, labels and limits."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from marina.experiments.queries import Requests, UnitReward
from marina.experiments.report import plots
from marina.experiments.report.plots import COLOURS, Span, colours, differences
from tests.experiments.log_lines import NOW
from tests.experiments.rows import A, B, C, history, state

SPAN = Span(NOW, NOW + 600)  # each of the 60 moments is 10 s
STEPS = [
    (0, "create", state(a=90, b=10)),
    (60, "ramp", state(a=80, b=20)),
    (120, "bandit", state(a=70, b=30)),
    (300, "weights", state(a=50, b=50)),
]
CHANGES = history(*STEPS)
EXPERIMENT = STEPS[0][2].experiment


@pytest.fixture
def axes():
    return Figure((9, 3), layout="constrained").subplots()


def at(*seconds: float) -> list[np.datetime64]:
    return [np.datetime64(round(1e6 * (NOW + second)), "us") for second in seconds]


def line(axes, label: str | None = None, style: str = "-"):
    (result,) = [
        it for it in axes.get_lines() if (label is None or it.get_label() == label) and it.get_linestyle() == style
    ]
    return result


def requests(*seconds: float, latencies=None) -> Requests:
    moments = np.array([NOW + second for second in seconds])
    values = np.full(len(moments), 0.025) if latencies is None else np.array(latencies)
    return Requests(moments, np.zeros(len(moments), dtype=bool), values, np.arange(len(moments)))


def test_each_variant_has_a_colour_and_the_seventh_has_the_first_again():
    it = state(a=30, b=20, c=10, d=10, e=10, f=10, g=10).experiment
    assert list(colours(it).values()) == [*COLOURS, COLOURS[0]]
    assert list(colours(it)) == list(it.weights)
    assert len(set(COLOURS)) == 6


def test_observed_shares_are_of_all_requests_of_a_moment(axes):
    result = {A: requests(5, 6, 7, 25), B: requests(8, 9999)}
    plots.shares(axes, EXPERIMENT, result, CHANGES, SPAN)
    one, two = line(axes, A), line(axes, B)
    assert one.get_ydata()[[0, 2]].tolist() == [75, 100]
    assert two.get_ydata()[[0, 2]].tolist() == [25, 0]
    assert np.isnan(one.get_ydata()[1])
    assert np.isnan(one.get_ydata()).sum() == 58
    assert one.get_xdata(orig=True).tolist()[:2] == np.array(at(5, 15)).tolist()
    for it, name in ((one, A), (two, B)):
        assert (it.get_marker(), it.get_markersize(), it.get_color()) == (".", 3, colours(EXPERIMENT)[name])


def test_a_variant_without_requests_has_a_share_of_0(axes):
    plots.shares(axes, EXPERIMENT, {A: requests(5)}, CHANGES, SPAN)
    assert line(axes, B).get_ydata()[0] == 0


def test_the_weights_are_dashed_steps(axes):
    plots.shares(axes, EXPERIMENT, {}, CHANGES, SPAN)
    steps = [it for it in axes.get_lines() if it.get_linestyle() == "--"]
    assert [it.get_ydata().tolist() for it in steps] == [[90, 80, 70, 50, 50], [10, 20, 30, 50, 50]]
    for it, colour in zip(steps, colours(EXPERIMENT).values(), strict=True):
        assert it.get_xdata(orig=True).tolist() == np.array(at(0, 60, 120, 300, 600)).tolist()
        assert (it.get_drawstyle(), it.get_linewidth(), it.get_alpha()) == ("steps-post", 1, 0.7)
        assert it.get_color() == colour
    assert axes.get_ylim() == (-3, 103)
    assert axes.get_ylabel() == "share of the requests, %"


def test_weights_from_before_the_span_are_left_out(axes):
    plots.shares(axes, EXPERIMENT, {}, CHANGES, Span(NOW + 60, NOW + 600))
    steps = [it for it in axes.get_lines() if it.get_linestyle() == "--"]
    assert [it.get_ydata().tolist() for it in steps] == [[80, 70, 50, 50], [20, 30, 50, 50]]


def test_a_variant_that_came_later_has_no_weight_before(axes):
    changes = history(STEPS[0], (100, "create", state(a=50, b=30, c=20)))
    plots.shares(axes, changes[0].state.experiment, {}, changes, SPAN)
    steps = [it.get_ydata().tolist() for it in axes.get_lines() if it.get_linestyle() == "--"]
    assert steps == [[90, 50, 50], [10, 30, 30], [0, 20, 20]]
    assert C in colours(changes[0].state.experiment)


def test_changes_by_users_are_marked(axes):
    plots.shares(axes, EXPERIMENT, {}, CHANGES, SPAN)
    (mark,) = [it for it in axes.get_lines() if it.get_linestyle() == ":"]  # neither at the start nor ramp nor bandit
    assert mark.get_xdata(orig=True)[0] == at(300)[0]
    assert (mark.get_color(), mark.get_linewidth()) == ("grey", 0.8)
    (text,) = axes.texts
    assert (text.get_text(), text.xy, text.xycoords) == ("weights", (at(300)[0], 1), ("data", "axes fraction"))
    assert (text.get_rotation(), text.get_va(), text.get_ha(), text.get_color()) == (90, "top", "right", "grey")
    assert text.get_fontsize() < 7


def test_the_time_axis_is_the_span_in_utc(axes):
    plots.shares(axes, EXPERIMENT, {}, CHANGES, SPAN)
    assert axes.get_xlim() == pytest.approx((NOW / 86_400, (NOW + 600) / 86_400), abs=1e-9)
    assert isinstance(axes.xaxis.get_major_formatter(), ConciseDateFormatter)
    assert {it.get_alpha() for it in axes.get_xgridlines() + axes.get_ygridlines()} == {0.3}
    assert [it.get_text() for it in axes.get_legend().get_texts()] == [A, B]
    assert axes.get_legend().get_texts()[0].get_fontsize() == pytest.approx(8.33, abs=0.01)


def rewarded(variant: str, *rewards: float) -> list[UnitReward]:
    return [
        UnitReward(f"{variant}{number}", variant, NOW + number + 1, reward) for number, reward in enumerate(rewards)
    ]


def test_the_difference_is_of_the_units_seen_by_each_moment():
    units = rewarded(A, *[0.0, 1.0] * 20) + rewarded(B, *[1.0, 1.0, 0.0] * 20)
    moments = np.array([NOW, NOW + 1, NOW + 3, NOW + 60])
    result = differences(EXPERIMENT, B, units, moments)
    assert [it.estimate for it in result] == pytest.approx([0, 1, 2 / 3 - 1 / 3, 2 / 3 - 1 / 2])
    assert [bool(np.isfinite(it.low)) for it in result] == [False, True, True, True]


def test_the_reward_is_drawn_from_the_first_interval_on(axes):
    units = rewarded(A, *[0.0, 1.0] * 100) + rewarded(B, *[0.5, 1.0] * 100)
    plots.reward(axes, EXPERIMENT, units, CHANGES, SPAN)
    moments = np.linspace(NOW, NOW + 600, 61)[1:]
    result = differences(EXPERIMENT, B, units, moments)
    known = [it for it in result if np.isfinite(it.low)]
    assert len(known) == len(result)
    drawn = line(axes, f"{B} - {A}")
    assert drawn.get_color() == COLOURS[1]
    assert drawn.get_ydata().tolist() == [it.estimate for it in known]
    assert drawn.get_xdata(orig=True).tolist() == np.array(at(*range(10, 601, 10))).tolist()
    (band,) = axes.collections
    assert tuple(band.get_facecolor()[0]) == to_rgba(COLOURS[1], 0.2)
    assert band.get_linewidth() == [0]
    edges = band.get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == (min(it.low for it in known), max(it.high for it in known))
    settled = known[len(known) // 4 :]
    top = 1.1 * max(abs(bound) for it in settled for bound in (it.low, it.high))
    assert axes.get_ylim() == pytest.approx((-top, top))
    assert axes.get_ylabel() == "mean reward, difference"
    (zero,) = [it for it in axes.get_lines() if it.get_color() == "black"]
    assert (zero.get_ydata()[0], zero.get_linewidth()) == (0, 0.8)
    assert [text.get_text() for text in axes.texts] == ["weights"]


def test_the_widest_of_several_treatments_sets_the_limits(axes):
    it = state(a=40, b=30, c=30).experiment
    rewards = ([0.0, 1.0] * 50, [0.0, 1.0] * 50, [0.0, 9.0] * 50)
    units = [unit for name, values in zip((A, B, C), rewards, strict=True) for unit in rewarded(name, *values)]
    plots.reward(axes, it, units, history((0, "create", state(a=40, b=30, c=30))), SPAN)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [f"{B} - {A}", f"{C} - {A}"]
    assert axes.get_ylim()[1] > 4


def test_without_any_interval_there_is_an_empty_frame(axes):
    plots.reward(axes, EXPERIMENT, rewarded(A, 1.0), CHANGES, SPAN)
    assert axes.get_ylim() == (-1, 1)
    assert axes.get_legend() is None


def test_latencies_are_the_quantiles_of_successful_responses_since_the_weights_changed(axes):
    result = {A: requests(1, 50, 60, 70, latencies=[9.0, 0.01, 0.03, np.nan]), B: requests(1, 2)}
    plots.latency(axes, EXPERIMENT, result, NOW + 50)
    drawn = line(axes, A)
    assert [it.get_label() for it in axes.get_lines()].count(B) == 0
    assert len(drawn.get_xdata()) == 501
    assert drawn.get_xdata()[[0, 250, 500]].tolist() == pytest.approx([10, 20, 30])
    assert drawn.get_ydata()[[0, 250, 500]].tolist() == [0, 50, 100]
    assert drawn.get_color() == COLOURS[0]
    assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "latency, ms")
    assert (axes.get_ylim(), axes.get_ylabel()) == ((0, 101), "answered within it, %")
    (p99,) = [it for it in axes.get_lines() if it.get_linestyle() == ":"]
    assert (p99.get_ydata()[0], p99.get_color(), p99.get_linewidth()) == (99, "grey", 0.8)
    assert {it.get_alpha() for it in axes.get_xgridlines() + axes.get_ygridlines()} == {0.3}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [A]


def test_milliseconds_are_marked_at_1_2_and_5(axes):
    plots.latency(axes, EXPERIMENT, {A: requests(1, 2, latencies=[0.009, 0.11])}, NOW)
    axes.set_xlim(9, 110)
    shown = [tick for tick in axes.xaxis.get_major_locator()() if 9 <= tick <= 110]
    assert shown == [10, 20, 50, 100]
    assert axes.xaxis.get_major_formatter()(1000.0, 0) == "1000"
    assert isinstance(axes.xaxis.get_minor_formatter(), NullFormatter)
