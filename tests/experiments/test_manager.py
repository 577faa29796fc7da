"""Changes of an experiment: validated, stored, and confirmed by Envoy. Without servers."""

import asyncio
import re
from types import SimpleNamespace

import httpx
import pytest

from marina.errors import (
    ExperimentError,
    MarinaError,
    NotAppliedError,
    TorchServeError,
    UnknownExperimentError,
    VariantNotReadyError,
)
from marina.experiments import history, manager
from marina.experiments.manager import ExperimentManager, StateCache, with_ramp_step
from marina.experiments.routing.matcher_tree import route_extension
from marina.experiments.spec import Mirror
from marina.experiments.split import new_split, rebalance
from marina.serving.envoy import gateway
from marina.settings import Settings
from tests.experiments.routing.envoy_instance import A, B, experiment, state
from tests.experiments.stub_reconciler import StubReconciler

WEIGHTS = {A: 60, B: 40}


class Bench:
    """A manager with its cache and reconciler, and the route extensions that were validated."""

    def __init__(self, database, settings: Settings) -> None:
        self.engine = database
        self.reconciler = StubReconciler(settings)
        self.cache = StateCache(settings)
        self.manager = ExperimentManager(database, self.cache, self.reconciler)
        self.validated = []
        self.refusal: Exception | None = None

    def validate(self, settings, views, checked) -> None:
        assert (settings, views) == (self.reconciler.settings, self.reconciler.route_states())
        if self.refusal:
            raise self.refusal
        self.validated.append(checked)

    def create(self, it=None, who="me", why="to see"):
        return asyncio.run(self.manager.create(it or experiment(), who, why))

    def do(self, verb: str, *arguments):
        return asyncio.run(getattr(self.manager, verb)("digits", *arguments, "you", "because"))

    @property
    def changes(self):
        return history.changes(self.engine, "digits")


@pytest.fixture
def bench(database, tmp_path, monkeypatch):
    bench = Bench(database, Settings(var=tmp_path / "var"))
    monkeypatch.setattr(gateway, "validate", bench.validate)
    monkeypatch.setattr(manager, "POLL_SECONDS", 0)
    return bench


def test_a_new_experiment_is_validated_stored_and_confirmed(bench):
    done = bench.create()
    assert (done.what, done.who, done.why, done.after) == ("create", "me", "to see", 0)
    assert done.state == state(experiment())
    assert bench.changes == [done]
    assert bench.cache.running == {"digits": done.state}
    assert bench.reconciler.probed == [("a", "1.0"), ("b", "2.0")]
    # The first change makes the key of feedback tokens: it was validated without one.
    assert bench.validated == [route_extension([done.state], bench.reconciler.route_states())]


def test_an_experiment_that_runs_is_not_created_again(bench):
    first = bench.create()
    with pytest.raises(ExperimentError, match=r"^digits: it runs already; stop it first$"):
        bench.create()
    assert bench.changes == [first]
    stopped = bench.do("stop")
    again = bench.create(experiment(seed=8))
    assert (again.after, again.state.experiment.seed) == (stopped.id, 8)


def test_a_ramp_begins_at_its_first_step(bench):
    done = bench.create(experiment(guard={}, ramp={"steps": [2, 50]}))
    assert done.state.experiment.weights == {A: 98, B: 2}
    assert done.state.split == new_split({A: 98, B: 2})


def test_a_ramp_step_sets_the_last_variant_and_the_control():
    names = [("c", "3"), ("a", "1.0"), ("b", "2.0")]
    variants = [
        {"model": model, "version": version, "weight": weight}
        for (model, version), weight in zip(names, (30, 60, 10), strict=True)
    ]
    it = with_ramp_step(experiment(variants=variants), 25)
    assert it.weights == {"c@3": 30, A: 45, B: 25}
    assert with_ramp_step(it, 5).weights == {"c@3": 30, A: 65, B: 5}


@pytest.mark.parametrize(
    "cause",
    [TorchServeError("it is not ready: why"), httpx.ConnectError("it is not ready: why"), httpx.ReadTimeout("")],
)
def test_a_variant_that_is_not_ready_is_named(bench, cause):
    bench.reconciler.tasks["b"] = cause
    with pytest.raises(VariantNotReadyError) as caught:
        bench.create()
    assert str(caught.value) == f"{B}: {cause}"
    assert caught.value.__cause__ is cause
    assert (bench.changes, bench.validated) == ([], [])


def test_a_version_is_what_follows_the_last_at_sign(bench):
    bench.create()
    bench.do("mirror", Mirror(to="x@y@2", percent=1))
    assert bench.reconciler.probed[-1] == ("x@y", "2")


@pytest.mark.parametrize("other", ["b", "c"])
def test_variants_and_mirror_must_have_one_task(bench, other):
    bench.reconciler.tasks[other] = "translation"
    with pytest.raises(ExperimentError) as caught:
        bench.create(experiment(mirror={"to": "c@3", "percent": 1}))
    message, _, tasks = str(caught.value).rpartition(": ")
    assert message == "digits: variants: they answer different tasks"
    assert sorted(tasks.split(", ")) == ["image_classification", "translation"]
    assert bench.reconciler.probed == [("a", "1.0"), ("b", "2.0"), ("c", "3")]
    assert bench.changes == []


def test_new_weights_move_as_few_buckets_as_possible(bench):
    before = bench.create()
    done = bench.do("set_weights", WEIGHTS)
    assert (done.what, done.who, done.why, done.after) == ("weights", "you", "because", before.id)
    assert done.state.experiment.weights == WEIGHTS
    assert done.state.split == rebalance(before.state.split, WEIGHTS)
    back = bench.do("set_weights", {A: 90, B: 10})
    assert back.state.split == ((0, A), (6000, B), (7000, A))  # dealing again would give one run each
    assert bench.cache.running == {"digits": back.state}


def test_promote_sends_all_traffic_to_one_variant(bench):
    bench.create()
    done = bench.do("promote", B)
    assert (done.what, done.who, done.why) == ("promote", "you", "because")
    assert (done.state.experiment.weights, done.state.split) == ({A: 0, B: 100}, ((0, B),))


def test_weights_of_an_unknown_variant_change_nothing(bench):
    first = bench.create()
    with pytest.raises(ExperimentError, match="none of its variants"):
        bench.do("promote", "c@3")
    assert bench.changes == [first]


def test_a_mirror_must_be_ready_until_it_is_ended(bench):
    first = bench.create()
    done = bench.do("mirror", Mirror(to="c@3", percent=20))
    assert (done.what, done.who, done.why, done.after) == ("mirror", "you", "because", first.id)
    assert done.state.experiment.mirror == Mirror(to="c@3", percent=20)
    assert (done.state.split, done.state.experiment.weights) == (first.state.split, first.state.experiment.weights)
    bench.reconciler.tasks["c"] = TorchServeError("it is gone")
    with pytest.raises(VariantNotReadyError, match="c@3: it is gone"):
        bench.do("mirror", Mirror(to="c@3", percent=0.5))
    assert bench.do("mirror", Mirror(to="c@3", percent=0)).state.experiment.mirror is None


def test_an_experiment_that_does_not_run_cannot_be_changed(bench):
    with pytest.raises(UnknownExperimentError, match=r"^no experiment digits runs$"):
        bench.do("stop")
    running = bench.create()
    done = bench.do("stop")
    assert (done.what, done.who, done.why) == ("stop", "you", "because")
    assert done.state == running.state.model_copy(update={"running": False})
    assert bench.cache.running == {}
    for verb, *arguments in (("set_weights", WEIGHTS), ("promote", B), ("stop",), ("mirror", Mirror(to=B, percent=1))):
        with pytest.raises(UnknownExperimentError):
            bench.do(verb, *arguments)


def test_a_rollback_is_validated_and_restores_the_state_before(bench):
    first = bench.create()
    bench.do("set_weights", WEIGHTS)
    bench.validated.clear()
    done = bench.do("rollback")
    assert (done.what, done.who, done.why, done.restored) == ("rollback", "you", "because", first.id)
    assert done.state == first.state
    assert bench.validated == [route_extension([first.state], bench.reconciler.route_states(), bench.cache.key)]
    assert bench.cache.running == {"digits": first.state}
    with pytest.raises(history.NothingToRollBackError):
        bench.do("rollback")
    assert len(bench.validated) == 1


def test_a_change_that_envoy_refuses_is_not_stored(bench):
    first = bench.create()
    bench.do("set_weights", WEIGHTS)
    bench.refusal = MarinaError("Envoy would refuse this")
    for verb, *arguments in (("set_weights", {A: 50, B: 50}), ("rollback",), ("stop",)):
        with pytest.raises(MarinaError):
            bench.do(verb, *arguments)
    assert [each.id for each in bench.changes] == [first.id + 1, first.id]


def test_a_change_is_validated_with_all_other_experiments(bench):
    other = bench.create(experiment("other")).state
    mine = bench.create().state
    assert bench.validated[-1] == route_extension([other, mine], bench.reconciler.route_states(), bench.cache.key)
    moved = bench.do("set_weights", WEIGHTS).state
    assert bench.validated[-1] == route_extension([moved, other], bench.reconciler.route_states(), bench.cache.key)


def test_a_change_waits_until_envoy_applies_it(bench):
    bench.reconciler.slow = 3
    bench.create()
    assert bench.reconciler.polls == 4


def test_a_change_that_envoy_does_not_apply_is_stored(bench, monkeypatch):
    """Five seconds pass before each status, so the fourth comes after more than 15."""
    bench.reconciler.slow = 9
    clock = SimpleNamespace(monotonic=lambda: 1000.0 + 5 * bench.reconciler.polls, time=lambda: 0.0)
    monkeypatch.setattr(manager, "time", clock)
    message = "change 1 is kept, but Envoy has not taken it yet: see /ready"
    with pytest.raises(NotAppliedError, match=f"^{re.escape(message)}$"):
        bench.create()
    assert bench.reconciler.polls == 4
    assert [each.id for each in bench.changes] == [1]
    assert bench.cache.running == {"digits": bench.changes[0].state}


def test_of_two_changes_at_once_the_second_is_refused(bench):
    bench.create()

    async def both():
        orders = (bench.manager.set_weights("digits", {A: share, B: 100 - share}, "me", "") for share in (20, 30))
        return await asyncio.gather(*orders, return_exceptions=True)

    outcomes = [type(it) for it in asyncio.run(both())]
    assert sorted(outcomes, key=str) == sorted([history.Change, history.ConflictError], key=str)
