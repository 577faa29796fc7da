"""The report, and the guide to experiments."""

import base64
import re
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from jinja2 import UndefinedError

from marina.experiments import queries, spec
from marina.experiments.database import Exposure, MirroredRequest
from marina.experiments.report import page, plots
from marina.experiments.report.summary import summarize
from marina.experiments.spec import Bandit, Experiment, Guard, Mirror, Ramp, Variant
from marina.settings import ROOT
from tests.experiments.log_lines import NOW
from tests.experiments.rows import A, B, exposure_row, history, insert_rewarded_users, insert_rows, state
from tests.serve.support.guide import blocks

CREATED = (0, "create", state(a=50, b=50))


@pytest.fixture(autouse=True)
def quiet():
    """Turn the warnings of matplotlib and numpy into errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        yield


def written(engine, folder, changes) -> str:
    file = page.write(engine, changes[0].state, changes, folder / "reports")
    assert file == folder / "reports" / "e.html"
    return file.read_text(encoding="utf-8")


def images(text: str) -> list[bytes]:
    return [base64.b64decode(result) for result in re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', text)]


def test_the_page_has_verdict_figures_and_plots_and_loads_nothing(engine, tmp_path):
    insert_rewarded_users(engine, A, [0.0, 1.0] * 100)
    insert_rewarded_users(engine, B, [0.75, 1.25] * 100)
    copy = {"id": f"{A}0", "experiment": "e", "at": NOW, "variant": "mirrored@3.0", "status": 200}
    insert_rows(engine, MirroredRequest, {**copy, "seconds": 0.0625, "prediction": None})
    text = written(engine, tmp_path, history(CREATED, (500, "stop", CREATED[2].model_copy(update={"running": False}))))
    verdict = re.search(r'<p class="verdict better">(.*)</p>', text)[1]
    assert verdict.startswith("b@1.0 is better than a@1.0 by 0.50 ± 0.")
    for shown in ("Stopped.", "mirrored@3.0", "62.5 ms", ">25 ms<", "2025-11-22 08:26 UTC"):
        assert shown in text, shown
    assert [ET.fromstring(image).tag for image in images(text)] == ["{http://www.w3.org/2000/svg}svg"] * 3
    outside = re.findall(r'(?:src|href)="(?!data:)[^"]*"|url\(|@import|<script|<link', text)
    assert outside == []


def test_text_of_users_is_escaped(engine, tmp_path):
    first, *_ = history(CREATED)
    evil = first.model_copy(update={"who": '"><img src=x>', "why": "<script>alert('x')</script> & 便宜"})
    text = written(engine, tmp_path, [evil])
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; 便宜" in text


def test_a_page_without_any_data(engine, tmp_path):
    text = written(engine, tmp_path, history(CREATED))
    assert images(text) == []
    for shown in ("no sample: b@1.0 has 0 users", "No requests yet", "No requests were copied", "Running."):
        assert shown in text, shown


def test_a_page_with_nothing_but_failures_and_equal_rewards(engine, tmp_path):
    insert_rewarded_users(engine, A, [1.0] * 50)
    insert_rewarded_users(engine, B, [1.0] * 50)
    insert_rows(
        engine, Exposure, *(exposure_row(f"bad{number}", B, at=600, status=500, seconds=None) for number in range(9))
    )
    text = written(engine, tmp_path, history(CREATED, (500, "weights", state(a=90, b=10))))
    assert re.search(r"not yet: no difference so far \(0.00 ± 0.\d+\)<", text)
    assert "9 (100 %)" in text
    assert len(images(text)) == 2


def test_without_bounds_of_the_reward_the_intervals_are_called_asymptotic(engine, tmp_path):
    unbounded = CREATED[2].experiment.with_fields(reward=None)
    insert_rewarded_users(engine, A, [0.0, 1.0] * 100)
    insert_rewarded_users(engine, B, [0.75, 1.25] * 100)
    for experiment, reason in ((unbounded, "no bounds"), (CREATED[2].experiment, "1.25 is from before the bounds")):
        it = CREATED[2].model_copy(update={"experiment": experiment})
        changes = history((0, "create", it))
        assert summarize(engine, it, changes, NOW + 1000).intervals == "asymptotic", reason
        text = written(engine, tmp_path, changes)
        assert "The intervals are <b>asymptotic</b>" in text
        assert re.search(r"is better than a@1.0 by 0.50 ± 0.\d+, asymptotic<", text)


def test_of_bounded_rewards_the_intervals_are_exact(engine, tmp_path):
    insert_rewarded_users(engine, A, [0.0, 1.0] * 100)
    insert_rewarded_users(engine, B, [1.0] * 200)
    changes = history(CREATED)
    assert summarize(engine, CREATED[2], changes, NOW + 1000).intervals == "exact"
    assert "asymptotic" not in written(engine, tmp_path, changes)


def test_a_page_of_many_variants_warns_of_a_mismatch(engine, tmp_path):
    names = [f"m{number}" for number in range(8)]
    for name in names:
        insert_rewarded_users(engine, f"{name}@1.0", [0.0, 1.0] * 40)
    weights = dict(zip(names, (93, *[1] * 7), strict=True))
    text = written(engine, tmp_path, history((0, "create", state(**weights))))
    assert len(re.findall(r'<p class="verdict undecided"><b>m[1-7]@1.0</b>: not yet', text)) == 7
    assert text.count("Not to be trusted") == 7
    assert '<p class="warning">' in text
    assert len(images(text)) == 3


def test_the_reward_over_time_ends_at_the_summary_s_value(engine):
    insert_rewarded_users(engine, A, [0.0, 1.0] * 40)
    insert_rewarded_users(engine, B, [0.25, 1.0] * 40)
    late = [exposure_row(f"late{number}", A, at=300) for number in range(5)]
    insert_rows(engine, Exposure, *late)
    changes = history(CREATED)
    result = queries.rewards(engine, "e", NOW)
    moments = np.array([NOW + 199, NOW + 200, NOW + 1000])
    before, first, last = plots.differences(CREATED[2].experiment, B, result, moments)
    assert not np.isfinite(before.low)
    bounds = summarize(engine, changes[0].state, changes, NOW + 1000).variants[1].comparison.difference
    assert first == last
    assert (last.estimate, last.low, last.high) == (bounds.estimate, bounds.low, bounds.high)


def test_the_example_loads_and_is_the_one_of_the_guide(tmp_path):
    (tmp_path / "guide.yaml").write_text("\n".join(blocks("docs/guides/experiments.md", "yaml")), encoding="utf-8")
    result = spec.load(ROOT / "experiments.yaml")
    assert result == spec.load(tmp_path / "guide.yaml")
    assert result["digits"].weights == {"digits_cnn@1.0": 90, "lenet@1.0": 10}
    assert result["digits"].guard == Guard()


def test_the_guide_explains_every_field():
    text = (ROOT / "docs" / "guides" / "experiments.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE))
    assert set(rows) == set(Experiment.model_fields)
    for field, kind in {"variants": Variant, "mirror": Mirror, "guard": Guard, "ramp": Ramp, "bandit": Bandit}.items():
        named = set(re.findall(r"`(\w+)`", rows[field]))
        assert set(kind.model_fields) <= named, field


def test_links_of_the_guide_exist():
    text = (ROOT / "docs" / "guides" / "experiments.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / "docs" / "guides" / link).is_file(), link


@pytest.fixture
def shown(database):
    """`shown(*steps)`: the plots of the page, each as the function that draws it and its arguments."""

    def figures(*steps) -> dict[str, tuple]:
        changes = history(*steps)
        result = summarize(database, changes[0].state, changes, NOW + 1000)
        return page.figures(database, result, changes)

    return figures


def test_each_plot_is_given_its_data(database, shown, monkeypatch):
    monkeypatch.setattr(page, "_draw", lambda plot, *arguments: (plot, *arguments))
    insert_rewarded_users(database, A, [0.0, 1.0] * 20)
    insert_rewarded_users(database, B, [0.5, 1.0] * 20)
    moved = (300, "weights", state(a=90, b=10))
    insert_rows(database, Exposure, *(exposure_row(f"late{number}", B, at=400) for number in range(3)))
    changes, experiment = history(CREATED, moved), moved[2].experiment
    result = shown(CREATED, moved)
    requests, units = queries.requests(database, "e", NOW), queries.rewards(database, "e", NOW)
    assert set(result) == {"shares", "latency", "reward"}
    plot, it, drawn, marks, span = result["shares"]
    assert (plot, it, marks, span) == (plots.shares, experiment, changes, (NOW, NOW + 1000))
    assert {name: len(each.at) for name, each in drawn.items()} == {A: 40, B: 43}
    plot, it, drawn, since = result["latency"]
    assert (plot, it, drawn.keys(), since) == (plots.latency, experiment, requests.keys(), NOW + 300)
    assert result["reward"] == (plots.reward, experiment, units, changes, (NOW, NOW + 1000))
    stopped = (500, "stop", moved[2].model_copy(update={"running": False}))
    assert shown(CREATED, moved, stopped)["shares"][4] == (NOW, NOW + 500)


def test_a_span_is_at_least_a_second(database, shown, monkeypatch):
    monkeypatch.setattr(page, "_draw", lambda plot, *arguments: arguments[-1])
    insert_rows(database, Exposure, exposure_row("1", A, at=1))
    stopped = CREATED[2].model_copy(update={"running": False})
    assert shown(CREATED, (0.25, "stop", stopped))["shares"] == (NOW, NOW + 1)


def test_the_template_gets_all_its_variables(database, monkeypatch):
    changes = history((0, "create", state(a=40, b=30, c=30)))
    result = summarize(database, changes[0].state, changes, NOW + 1000)
    text = page.render(result, changes, {"shares": "data:image/svg+xml;base64,AAAA"})
    assert "97.5 %" in text  # of each of two comparisons
    assert 'src="data:image/svg+xml;base64,AAAA"' in text
    for colour in list(plots.COLOURS)[:3]:
        assert f'style="background: {colour}"' in text
    assert "\n\n\n" not in text.split("</style>")[1].split("<h2>Variants")[0]  # blocks leave no blank lines
    with pytest.raises(UndefinedError):
        page.render(result.model_copy(update={"variants": (object(),)}), changes, {})


def test_moments_are_in_utc():
    assert page.moment(NOW) == "2025-11-22 08:26 UTC"


def test_a_plot_is_9_by_3_2_inches():
    def plot(axes, text: str) -> None:
        axes.set_title(text)

    url = page._draw(plot, "drawn")
    kind, _, content = url.partition(",")
    assert kind == "data:image/svg+xml;base64"
    image = ET.fromstring(base64.b64decode(content))
    assert (image.get("width"), image.get("height")) == ("648pt", "230.4pt")  # 9 x 3.2 inches
