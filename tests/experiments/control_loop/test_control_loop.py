"""Control loop: guard, ramps and bandits. Without servers."""

import asyncio
import logging

import httpx
import pytest

from marina.errors import ConflictError
from marina.experiments import control_loop, history, queries
from marina.experiments.guardrail import RecentRequests
from tests.experiments.control_loop.loop_harness import BANDIT, GUARD, RAMP, requests
from tests.experiments.log_lines import NOW
from tests.experiments.rows import A, B, C, insert_rewarded_users


def test_the_weight_of_a_worse_variant_is_set_to_0(harness, caplog):
    harness.start(more=GUARD, a=60, b=30, c=10)
    harness.now = 200
    requests(harness.engine, A, 900)
    requests(harness.engine, B, 450)
    requests(harness.engine, C, 60, status=500)
    requests(harness.engine, C, 40)
    ((name, weights, who, why, what),) = harness.run_passes()
    assert (name, who, what) == ("e", "guard", "guard")
    assert weights == {A: 70, B: 30, C: 0}
    assert why == f"{C}: errors: 60.00% of 100 users, of the control's 900 0.00%; more than 1.00% above"
    messages = [record.getMessage() for record in caplog.records if record.name == "marina.experiments.control_loop"]
    assert messages == [f"e: {C} goes back to 0: {why.removeprefix(f'{C}: ')}"]


def test_the_control_and_variants_at_0_are_not_tested(harness):
    harness.start(more={**GUARD, "control": B}, a=0, b=50, c=50)
    requests(harness.engine, B, 300)
    requests(harness.engine, A, 100, status=500)
    assert harness.run_passes() == []
    requests(harness.engine, C, 100, status=500)
    assert [order[1] for order in harness.run_passes()] == [{A: 0, B: 100, C: 0}]


def test_one_worse_variant_at_a_time_is_withdrawn(harness):
    harness.start(more=GUARD, a=50, b=25, c=25)
    requests(harness.engine, A, 300)
    for variant in (B, C):
        requests(harness.engine, variant, 100, status=500)
    assert [order[1] for order in harness.run_passes()] == [{A: 75, B: 0, C: 25}]


def test_requests_before_the_last_change_do_not_count(harness):
    harness.start(more=GUARD, a=90, b=10)
    requests(harness.engine, A, 300, at=50)
    requests(harness.engine, B, 100, at=50, status=500)
    harness.now = 60
    harness.start(what="weights", more=GUARD, a=50, b=50)
    assert harness.run_passes() == []
    requests(harness.engine, A, 300)
    requests(harness.engine, B, 100, status=500)
    assert len(harness.run_passes()) == 1


def test_without_a_guard_no_variant_is_tested(harness, monkeypatch):
    harness.start(a=90, b=10)
    harness.start("f", more=BANDIT, a=90, b=10)
    for variant, status in ((A, 200), (B, 500)):
        requests(harness.engine, variant, 300, status=status)
        requests(harness.engine, variant, 300, status=status, experiment="f")
    created = []
    monkeypatch.setattr(
        control_loop,
        "RecentRequests",
        lambda engine, name, since: created.append(name) or RecentRequests(engine, name, since),
    )
    assert harness.run_passes() == []
    assert created == ["f"]  # nothing of e can move by itself


def test_recent_requests_are_kept_until_the_weights_change(harness, monkeypatch):
    made = []
    monkeypatch.setattr(
        control_loop,
        "RecentRequests",
        lambda engine, name, since: made.append(since) or RecentRequests(engine, name, since),
    )
    harness.start(more=GUARD, a=90, b=10)
    harness.run_passes(passes=3)
    harness.now = 10
    harness.start(what="weights", more=GUARD, a=80, b=20)
    harness.run_passes(passes=2)
    assert made == [NOW, NOW + 10]


def test_a_ramp_advances_after_its_seconds(harness):
    harness.start(more=RAMP, a=95, b=5)
    requests(harness.engine, B, 100, at=1)
    harness.now = 299
    assert harness.run_passes() == []
    harness.now = 300
    why = "5 % was held for 300 s and the guard is content"
    assert harness.run_passes() == [("e", {A: 75, B: 25}, "ramp", why, "ramp")]


def test_a_ramp_waits_for_the_variant_s_own_requests(harness):
    harness.start(more=RAMP, a=95, b=5)
    requests(harness.engine, A, 200, at=1)
    requests(harness.engine, B, 99, at=1)
    harness.now = 400
    assert harness.run_passes() == []
    requests(harness.engine, B, 1, at=399)
    assert len(harness.run_passes()) == 1


@pytest.mark.parametrize(("weight", "following"), [(0, None), (1, 5), (5, 25), (7, 25), (25, 100), (100, None)])
def test_a_ramp_goes_to_the_next_step_above(harness, weight, following):
    """A variant at 0 was withdrawn by the guard, and stays there."""
    harness.start(more={**RAMP, "bandit": None}, a=100 - weight, b=weight)
    requests(harness.engine, B, 100, at=1)
    harness.now = 300
    assert [order[1][B] for order in harness.run_passes()] == ([] if following is None else [following])


def test_the_last_of_several_variants_is_ramped(harness):
    harness.start(more=RAMP, a=60, b=35, c=5)
    requests(harness.engine, C, 100, at=1)
    harness.now = 300
    assert [order[1] for order in harness.run_passes()] == [{A: 40, B: 35, C: 25}]


def test_a_violation_stops_the_ramp(harness):
    harness.start(more=RAMP, a=95, b=5)
    requests(harness.engine, A, 300)
    requests(harness.engine, B, 100, status=500)
    harness.now = 400
    assert [order[4] for order in harness.run_passes()] == ["guard"]


def test_a_bandit_moves_weight_to_the_best_variant(harness):
    harness.start(more=BANDIT, a=50, b=50)
    insert_rewarded_users(harness.engine, A, [0.0, 1.0] * 100)
    insert_rewarded_users(harness.engine, B, [1.0] * 200)
    harness.now = 299
    assert harness.run_passes() == []
    harness.now = 300
    why = f"mean reward: {A} 0.5 of 200, {B} 1 of 200"
    assert harness.run_passes() == [("e", {A: 5, B: 95}, "bandit", why, "bandit")]


def test_a_bandit_counts_rewards_since_the_creation(harness):
    harness.now = 90
    harness.start(more=BANDIT, a=50, b=50)
    insert_rewarded_users(harness.engine, B, [0.0, 1.0] * 100)  # at 100
    insert_rewarded_users(harness.engine, A, [1 / 3] * 200)
    harness.now = 150
    harness.start(what="weights", more=BANDIT, a=90, b=10)
    harness.now = 449
    assert harness.run_passes() == []
    harness.now = 450
    ((_, weights, *_, why, _),) = harness.run_passes()
    assert weights[B] > 90
    assert why == f"mean reward: {A} 0.3333 of 200, {B} 0.5 of 200"


def test_a_bandit_without_rewards_is_uniform(harness):
    harness.start(more=BANDIT, a=90, b=10)
    harness.now = 300
    assert harness.run_passes() == [("e", {A: 50, B: 50}, "bandit", "mean reward: no rewards yet", "bandit")]


@pytest.mark.parametrize(("weight", "moves"), [(50, 0), (49.75, 0), (49.5, 1), (50.5, 1)])
def test_a_bandit_ignores_small_changes(harness, weight, moves):
    harness.start(more=BANDIT, a=100 - weight, b=weight)
    harness.now = 300
    assert len(harness.run_passes()) == moves


def test_an_arm_without_rewards_is_not_named(harness):
    harness.start(more=BANDIT, a=5, b=90, c=5)
    insert_rewarded_users(harness.engine, A, [0.0, 1.0] * 10)
    harness.now = 300
    assert [order[3] for order in harness.run_passes()] == [f"mean reward: {A} 0.5 of 20"]


def test_a_stopped_experiment_is_not_changed(harness):
    harness.start(more=BANDIT, a=90, b=10)
    last = history.last(harness.engine, "e")
    stopped = last.state.model_copy(update={"running": False})
    history.append(harness.engine, stopped, "me", "stop", "", after=last.id)
    harness.now = 300
    assert harness.run_passes() == []


@pytest.mark.parametrize(
    ("error", "traceback"),
    [(ConflictError("late"), False), (httpx.ConnectError("late"), False), (RuntimeError("late"), True)],
)
def test_an_error_of_one_experiment_does_not_stop_the_others(harness, caplog, error, traceback):
    harness.start("e", more=BANDIT, a=90, b=10)
    harness.start("f", more=BANDIT, a=90, b=10)
    harness.now, harness.error = 300, error
    assert [order[0] for order in harness.run_passes()] == ["e", "f"]
    records = [record for record in caplog.records if record.name == "marina.experiments.control_loop"]
    assert [record.getMessage() for record in records] == ["e: late", "f: late"]
    assert [bool(record.exc_info) for record in records] == [traceback] * 2
    assert {record.levelno for record in records} == {logging.WARNING}


def test_advance_ramp_returns_whether_it_advanced(harness):
    harness.start(more=RAMP, a=95, b=5)
    state = history.current(harness.engine)["e"]

    def went_on() -> bool:
        requests_by_variant = queries.requests(harness.engine, "e", NOW)
        return asyncio.run(harness.loop._advance_ramp(state, requests_by_variant, NOW))

    assert went_on() is False
    harness.now = 300
    requests(harness.engine, B, 99, at=1)
    assert went_on() is False
    requests(harness.engine, B, 1, at=2)
    assert went_on() is True
    harness.start(what="ramp", more=RAMP, a=0, b=100)
    state = history.current(harness.engine)["e"]
    assert went_on() is False
