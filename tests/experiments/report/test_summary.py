"""Summary of an experiment, from rows with known figures."""

from marina.experiments.database import Exposure, MirroredRequest
from marina.experiments.queries import SETTLING_SECONDS
from marina.experiments.report.formatting import Outcome
from marina.experiments.report.summary import quantiles
from tests.experiments.log_lines import NOW
from tests.experiments.rows import A, B, C, exposure_row, insert_rewarded_users, insert_rows, state, summary


def test_requests_count_since_the_split_last_changed(engine):
    insert_rows(
        engine, Exposure, exposure_row("old", B, at=10, status=500), exposure_row("slow", A, at=60, seconds=0.5)
    )
    insert_rows(
        engine, Exposure, *(exposure_row(f"a{number}", A, unit="u", seconds=number / 100) for number in range(1, 6))
    )
    insert_rows(
        engine, Exposure, exposure_row("b1", B, status=503), exposure_row("b2", B, status=404), exposure_row("b3", B)
    )
    insert_rows(engine, Exposure, exposure_row("b4", B, variant=A, source="fallback", seconds=2))
    insert_rows(engine, Exposure, exposure_row("x", C, experiment="other"))
    result = summary(
        engine,
        (0, "create", state(a=90, b=10)),
        (50, "weights", state(a=50, b=50)),
        (80, "mirror", state(a=50, b=50)),
    )
    assert (result.since, result.since_weights, result.at, result.running) == (NOW, NOW + 50, NOW + 1000, True)
    assert result.last_change.model_dump() == {"at": NOW + 80, "who": "me", "what": "mirror", "why": "to see"}
    a, b = result.variants
    assert (a.name, a.role, a.weight, a.share, a.users, a.requests, a.errors) == (A, "control", 50, 0.6, 2, 6, 0)
    assert (a.p50, a.p99, a.error_rate, a.comparison) == (0.03, 0.5, 0, None)
    assert (b.name, b.role, b.share, b.users, b.requests, b.errors) == (B, "treatment", 0.4, 4, 4, 2)
    assert (b.p50, b.p99, b.error_rate) == (0.025, 0.025, 0.5)


def test_rewards_count_since_the_experiment_was_last_created(engine):
    insert_rewarded_users(engine, A, [1.0, 0.0])
    insert_rewarded_users(engine, B, [1.0])
    steps = [(0, "create", state(a=50, b=50)), (150, "weights", state(a=90, b=10))]
    assert [it.rewarded for it in summary(engine, *steps).variants] == [2, 1]
    assert [it.reward.estimate for it in summary(engine, *steps).variants] == [0.5, 1]
    again = summary(engine, *steps, (160, "stop", state(a=90, b=10)), (170, "create", state(a=90, b=10)))
    assert (again.since, again.since_weights) == (NOW + 170, NOW + 170)
    assert [it.rewarded for it in again.variants] == [0, 0]


def test_the_verdict_on_each_treatment(engine):
    insert_rewarded_users(engine, A, [0.0, 1.0] * 100)
    insert_rewarded_users(engine, B, [0.75, 1.25] * 100)
    insert_rewarded_users(engine, C, [0.5])
    a, b, c = summary(engine, (0, "create", state(a=40, b=40, c=20))).variants
    assert (a.reward.estimate, a.rewarded) == (0.5, 200)
    assert a.reward.low < 0.5 < a.reward.high
    assert b.comparison.outcome is Outcome.BETTER
    assert "b@1.0 is better than a@1.0 by 0.50 ±" in b.comparison.verdict
    assert b.comparison.difference.estimate == 0.5
    assert 0 < b.comparison.difference.low < 0.5 < b.comparison.difference.high
    assert b.comparison.detectable > 0.5 - b.comparison.difference.low
    assert (c.comparison.outcome, c.comparison.detectable) == (Outcome.NO_DATA, None)
    assert c.comparison.difference.model_dump() == {"estimate": 0, "low": None, "high": None}


def test_treatments_share_the_five_per_cent(engine):
    insert_rewarded_users(engine, A, [0.0, 1.0] * 100)
    insert_rewarded_users(engine, B, [0.0, 1.0] * 100)
    widths = []
    for weights in ({"a": 50, "b": 50}, {"a": 40, "b": 40, "c": 20}):
        bounds = summary(engine, (0, "create", state(**weights))).variants[1].comparison.difference
        widths.append(bounds.high - bounds.low)
    assert widths[1] > 1.02 * widths[0]


def test_the_sample_ratio_is_of_new_units_once_the_split_has_settled(engine):
    insert_rewarded_users(engine, A, [0.0, 1.0] * 50)
    insert_rewarded_users(engine, B, [0.0, 1.0] * 50)
    created = (0, "create", state(a=90, b=10))
    wrong = summary(engine, created)
    assert wrong.sample_ratio < 1e-10
    assert "Not to be trusted" in wrong.variants[1].comparison.verdict
    insert_rows(
        engine, Exposure, *(exposure_row(f"again{number}", B, at=300, unit=f"{B}{number}") for number in range(100))
    )
    promoted = (200, "promote", state(a=100, b=0))
    assert summary(engine, created, promoted).sample_ratio == 1
    insert_rows(engine, Exposure, exposure_row("late", B, at=200 + SETTLING_SECONDS - 1))
    assert summary(engine, created, promoted).sample_ratio == 1
    insert_rows(engine, Exposure, exposure_row("later", B, at=200 + SETTLING_SECONDS + 1))
    assert summary(engine, created, promoted).sample_ratio == 0


def test_a_mirror_is_compared_with_each_variant_that_was_live(engine):
    def pair(name: str, live: dict, copy: dict) -> None:
        insert_rows(engine, Exposure, exposure_row(name, live.pop("assigned", A), **live))
        common = {"id": name, "experiment": "e", "at": NOW + 100, "variant": C}
        insert_rows(engine, MirroredRequest, {**common, "status": 200, "seconds": 0.05, "prediction": None, **copy})

    def label(name: str, probability: float) -> dict:
        return {"prediction": {"label": name, "probability": probability}}

    pair("same", {**label("7", 0.75), "seconds": 0.01}, label("7", 0.5))
    pair("other", {**label("7", 0.75), "seconds": 0.03}, {**label("1", 0.625), "seconds": 0.07})
    pair("silent", {**label("7", 1), "seconds": 0.02}, {})
    pair("failed", label("7", 1), {"status": 500, "seconds": 9})
    pair("gone", label("7", 1), {"status": 0, "seconds": None})
    pair("both failed", {"status": 400}, {"status": 400})
    pair("itself", {"assigned": B, "variant": C, "source": "fallback"}, {})
    pair("number", {"assigned": B, "prediction": {"prediction": 2.0}}, {"prediction": {"prediction": 3.5}})
    labels, numbers = summary(engine, (0, "create", state(c=40, a=40, b=20))).mirrored
    assert (labels.live, labels.mirror, labels.pairs, labels.errors) == (A, C, 6, 2)
    assert (labels.same_label, labels.probability_difference, labels.number_difference) == (0.5, 0.1875, None)
    assert (labels.live_p50, labels.live_p99, labels.mirror_p50, labels.mirror_p99) == (0.02, 0.03, 0.05, 0.07)
    assert (numbers.live, numbers.pairs, numbers.same_label, numbers.number_difference) == (B, 1, None, 1.5)


def test_an_experiment_without_any_request(engine):
    result = summary(engine, (0, "create", state(a=90, b=10)))
    a, b = result.variants
    assert (a.share, a.requests, a.error_rate, a.p50, a.p99, a.rewarded) == (None, 0, None, None, None, 0)
    assert a.reward.model_dump() == b.comparison.difference.model_dump() == dict.fromkeys(("estimate", "low", "high"))
    assert b.comparison.verdict.startswith("no sample")
    assert (result.sample_ratio, result.mirrored) == (1, ())


def test_quantiles_ignore_unknown_values():
    assert quantiles([None, 3.0, 1.0, float("nan"), 2.0]) == (2, 3)
    assert quantiles([None]) == quantiles([]) == (None, None)
