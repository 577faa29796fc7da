"""What happens by itself to the weights: the guard, ramps and bandits. Without servers."""

import asyncio
import logging

import httpx
import pytest

from routing import history, observed, watch
from routing.history import ConflictError
from routing.lookout import Lookout
from tests.routing.lines import NOW
from tests.routing.rows import A, B, C, rewarded
from tests.routing.stage import BANDIT, GUARD, RAMP, requests


def test_a_variant_that_is_worse_goes_back_to_0(stage, caplog):
    stage.start(more=GUARD, a=60, b=30, c=10)
    stage.now = 200
    requests(stage.engine, A, 900)
    requests(stage.engine, B, 450)
    requests(stage.engine, C, 60, status=500)
    requests(stage.engine, C, 40)
    ((name, weights, who, why, what),) = stage.look()
    assert (name, who, what) == ("e", "guard", "guard")
    assert weights == {A: 70, B: 30, C: 0}
    assert why == f"{C}: errors: 60.00% of 100 requests, of the control's 900 0.00%; more than 1.00% above"
    said = [record.getMessage() for record in caplog.records if record.name == "routing.watch"]
    assert said == [f"e: {C} goes back to 0: {why.removeprefix(f'{C}: ')}"]


def test_what_is_at_0_or_is_the_control_is_not_judged(stage):
    stage.start(more={**GUARD, "control": B}, a=0, b=50, c=50)
    requests(stage.engine, B, 300)
    requests(stage.engine, A, 100, status=500)
    assert stage.look() == []
    requests(stage.engine, C, 100, status=500)
    assert [order[1] for order in stage.look()] == [{A: 0, B: 100, C: 0}]


def test_of_two_that_are_worse_one_goes_back_at_a_time(stage):
    stage.start(more=GUARD, a=50, b=25, c=25)
    requests(stage.engine, A, 300)
    for variant in (B, C):
        requests(stage.engine, variant, 100, status=500)
    assert [order[1] for order in stage.look()] == [{A: 75, B: 0, C: 25}]


def test_what_was_before_the_weights_moved_does_not_count(stage):
    stage.start(more=GUARD, a=90, b=10)
    requests(stage.engine, A, 300, at=50)
    requests(stage.engine, B, 100, at=50, status=500)
    stage.now = 60
    stage.start(what="weights", more=GUARD, a=50, b=50)
    assert stage.look() == []
    requests(stage.engine, A, 300)
    requests(stage.engine, B, 100, status=500)
    assert len(stage.look()) == 1


def test_without_a_guard_nobody_is_judged(stage, monkeypatch):
    stage.start(a=90, b=10)
    stage.start("f", more=BANDIT, a=90, b=10)
    for variant, status in ((A, 200), (B, 500)):
        requests(stage.engine, variant, 300, status=status)
        requests(stage.engine, variant, 300, status=status, experiment="f")
    looked = []
    monkeypatch.setattr(
        watch, "Lookout", lambda engine, name, since: looked.append(name) or Lookout(engine, name, since)
    )
    assert stage.look() == []
    assert looked == ["f"]  # nothing of e can move by itself


def test_a_lookout_is_kept_until_the_weights_move(stage, monkeypatch):
    made = []
    monkeypatch.setattr(
        watch, "Lookout", lambda engine, name, since: made.append(since) or Lookout(engine, name, since)
    )
    stage.start(more=GUARD, a=90, b=10)
    stage.look(passes=3)
    stage.now = 10
    stage.start(what="weights", more=GUARD, a=80, b=20)
    stage.look(passes=2)
    assert made == [NOW, NOW + 10]


def test_a_ramp_goes_on_when_it_was_held_for_long_enough(stage):
    stage.start(more=RAMP, a=95, b=5)
    requests(stage.engine, B, 100, at=1)
    stage.now = 299
    assert stage.look() == []
    stage.now = 300
    why = "5 % was held for 300 s and the guard is content"
    assert stage.look() == [("e", {A: 75, B: 25}, "ramp", why, "ramp")]


def test_a_ramp_waits_for_requests_of_its_own(stage):
    stage.start(more=RAMP, a=95, b=5)
    requests(stage.engine, A, 200, at=1)
    requests(stage.engine, B, 99, at=1)
    stage.now = 400
    assert stage.look() == []
    requests(stage.engine, B, 1, at=399)
    assert len(stage.look()) == 1


@pytest.mark.parametrize(("weight", "following"), [(0, None), (1, 5), (5, 25), (7, 25), (25, 100), (100, None)])
def test_a_ramp_goes_to_the_next_step_above(stage, weight, following):
    """What is at 0 was sent back, and stays there."""
    stage.start(more={**RAMP, "bandit": None}, a=100 - weight, b=weight)
    requests(stage.engine, B, 100, at=1)
    stage.now = 300
    assert [order[1][B] for order in stage.look()] == ([] if following is None else [following])


def test_the_last_of_several_variants_is_ramped(stage):
    stage.start(more=RAMP, a=60, b=35, c=5)
    requests(stage.engine, C, 100, at=1)
    stage.now = 300
    assert [order[1] for order in stage.look()] == [{A: 40, B: 35, C: 25}]


def test_what_the_guard_found_goes_no_further_up(stage):
    stage.start(more=RAMP, a=95, b=5)
    requests(stage.engine, A, 300)
    requests(stage.engine, B, 100, status=500)
    stage.now = 400
    assert [order[4] for order in stage.look()] == ["guard"]


def test_a_bandit_moves_the_weights_to_the_best(stage):
    stage.start(more=BANDIT, a=50, b=50)
    rewarded(stage.engine, A, [0.0, 1.0] * 100)
    rewarded(stage.engine, B, [1.0] * 200)
    stage.now = 299
    assert stage.look() == []
    stage.now = 300
    why = f"mean reward: {A} 0.5 of 200, {B} 1 of 200"
    assert stage.look() == [("e", {A: 5, B: 95}, "bandit", why, "bandit")]


def test_a_bandit_counts_rewards_since_the_creation(stage):
    stage.now = 90
    stage.start(more=BANDIT, a=50, b=50)
    rewarded(stage.engine, B, [0.0, 1.0] * 100)  # at 100
    rewarded(stage.engine, A, [1 / 3] * 200)
    stage.now = 150
    stage.start(what="weights", more=BANDIT, a=90, b=10)
    stage.now = 449
    assert stage.look() == []
    stage.now = 450
    ((_, weights, *_, why, _),) = stage.look()
    assert weights[B] > 90
    assert why == f"mean reward: {A} 0.3333 of 200, {B} 0.5 of 200"


def test_a_bandit_without_rewards_is_uniform(stage):
    stage.start(more=BANDIT, a=90, b=10)
    stage.now = 300
    assert stage.look() == [("e", {A: 50, B: 50}, "bandit", "mean reward: no rewards yet", "bandit")]


@pytest.mark.parametrize(("weight", "moves"), [(50, 0), (49.75, 0), (49.5, 1), (50.5, 1)])
def test_a_bandit_leaves_small_moves_alone(stage, weight, moves):
    stage.start(more=BANDIT, a=100 - weight, b=weight)
    stage.now = 300
    assert len(stage.look()) == moves


def test_an_arm_without_rewards_is_not_named(stage):
    stage.start(more=BANDIT, a=5, b=90, c=5)
    rewarded(stage.engine, A, [0.0, 1.0] * 10)
    stage.now = 300
    assert [order[3] for order in stage.look()] == [f"mean reward: {A} 0.5 of 20"]


def test_a_stopped_experiment_is_left_alone(stage):
    stage.start(more=BANDIT, a=90, b=10)
    last = history.last(stage.engine, "e")
    stopped = last.state.model_copy(update={"running": False})
    history.append(stage.engine, stopped, "me", "stop", "", after=last.id)
    stage.now = 300
    assert stage.look() == []


@pytest.mark.parametrize(
    ("fault", "traceback"),
    [(ConflictError("late"), False), (httpx.ConnectError("late"), False), (RuntimeError("late"), True)],
)
def test_one_in_trouble_does_not_keep_the_others_from_being_looked_at(stage, caplog, fault, traceback):
    stage.start("e", more=BANDIT, a=90, b=10)
    stage.start("f", more=BANDIT, a=90, b=10)
    stage.now, stage.fault = 300, fault
    assert [order[0] for order in stage.look()] == ["e", "f"]
    records = [record for record in caplog.records if record.name == "routing.watch"]
    assert [record.getMessage() for record in records] == ["e: late", "f: late"]
    assert [bool(record.exc_info) for record in records] == [traceback] * 2
    assert {record.levelno for record in records} == {logging.WARNING}


def test_whether_a_ramp_went_on(stage):
    stage.start(more=RAMP, a=95, b=5)
    state = history.current(stage.engine)["e"]

    def went_on() -> bool:
        seen = observed.requests(stage.engine, "e", NOW)
        return asyncio.run(stage.watch._ramp(state, seen, NOW))

    assert went_on() is False
    stage.now = 300
    requests(stage.engine, B, 99, at=1)
    assert went_on() is False
    requests(stage.engine, B, 1, at=2)
    assert went_on() is True
    stage.start(what="ramp", more=RAMP, a=0, b=100)
    state = history.current(stage.engine)["e"]
    assert went_on() is False
