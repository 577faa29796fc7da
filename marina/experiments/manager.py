"""Changes of experiments: validated, stored, and confirmed by Envoy; and the state that this node routes by.

A change is done when Envoy runs on it. `StateCache` keeps the last known state in a file, so that routing does not
depend on the database.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Engine

from marina.errors import (
    DatabaseReplacedError,
    ExperimentError,
    NotAppliedError,
    TorchServeError,
    UnknownExperimentError,
    VariantNotReadyError,
)
from marina.experiments import feedback_token, history
from marina.experiments.history import Change, ChangeKind, State
from marina.experiments.routing import matcher_tree
from marina.experiments.spec import Experiment, Mirror
from marina.experiments.split import new_split, rebalance
from marina.files import write_atomic
from marina.serving.envoy import gateway
from marina.serving.envoy.route_state import Models, RouteExtension
from marina.serving.reconciler.reconciler import Reconciler
from marina.settings import Settings

logger = logging.getLogger(__name__)

CONFIRM_SECONDS = 15.0
POLL_SECONDS = 0.1

STATES = TypeAdapter(dict[str, State])


def key_file(settings: Settings) -> Path:
    """Return the file of the key that signs feedback tokens, which only the owner may read."""
    return settings.state / "feedback-key"


def cache_file(settings: Settings) -> Path:
    """Return the cache's file. It outlives `make stop`, so that users keep their variants."""
    return settings.var / "experiments.json"


class StateCache:
    """The states of all experiments by name, as last read from the database, in memory and in a file.

    They are available before the database is, and while it does not respond. So is the key of feedback tokens.
    """

    def __init__(self, settings: Settings) -> None:
        self._file = cache_file(settings)
        self.problem: str | None = None  # why the states can't be read from the database, for operators
        self.states: Mapping[str, State] = self._read()
        self._key_file = key_file(settings)
        self.key = self._key_file.read_text() if self._key_file.exists() else None

    @property
    def running(self) -> dict[str, State]:
        """The states of the experiments that run."""
        return {name: state for name, state in self.states.items() if state.running}

    def refresh(self, engine: Engine) -> None:
        """Read the database, where another node may have changed something.

        Raises DatabaseReplacedError, and keeps the states, if it lacks an experiment: changes are never deleted.
        """
        states = history.current(engine)
        missing = ", ".join(sorted(self.states.keys() - states.keys()))
        if missing:
            self.problem = (
                f"the database of the experiments has lost {missing}: it was emptied or replaced. Requests are routed "
                f"as before. Restore it from a backup (`marina restore`), or remove {self._file} and `make stop serve` "
                "to begin without these experiments"
            )
            raise DatabaseReplacedError(self.problem)
        self.problem = None
        key = feedback_token.signing_key(engine, time.time())
        if key != self.key:
            self._key_file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._key_file, key)
            self.key = key
        self.update(states)

    def update(self, states: Mapping[str, State]) -> None:
        """Replace the states; the file is written only if they differ."""
        if states != self.states:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._file, STATES.dump_json(dict(states), indent=1).decode())
            self.states = states

    def _read(self) -> dict[str, State]:
        """Return the states in the file; a damaged file is kept under another name, and the database read instead."""
        if not self._file.exists():
            return {}
        try:
            return STATES.validate_json(self._file.read_bytes())
        except ValidationError as exc:
            kept = self._file.with_name(f"{self._file.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
            self._file.rename(kept)
            logger.error("%s was damaged (%s), and is now %s", self._file, exc.errors()[0]["msg"], kept.name)
            return {}

    def route_extension(self, models: Models) -> RouteExtension:
        """Return the routes of all running experiments, for the reconciler to publish."""
        return matcher_tree.route_extension(self.states.values(), models, self.key)


class ExperimentManager:
    """Operations on experiments, one at a time on this node.

    `who` and `why` go into the history. All operations raise ConflictError if another node made a change meanwhile,
    MarinaError if Envoy refuses the routes, and NotAppliedError if Envoy does not run on them in time.

    >>> await manager.set_weights("digits", {"resnet18@1.0": 80, "mobilenet_v1@1.0": 20}, "me", "")  # doctest: +SKIP
    """

    def __init__(self, engine: Engine, cache: StateCache, reconciler: Reconciler) -> None:
        self.engine = engine
        self._cache = cache
        self._reconciler = reconciler
        self._lock = asyncio.Lock()

    async def create(self, experiment: Experiment, who: str, why: str) -> Change:
        """Start an experiment, at the first step of its ramp if it has one.

        Raises ExperimentError if it runs already or its variants have different tasks, and VariantNotReadyError.
        """
        if experiment.name in self._cache.running:
            raise ExperimentError(f"{experiment.name}: it runs already; stop it first")
        if experiment.ramp:
            experiment = with_ramp_step(experiment, experiment.ramp.steps[0])
        tasks = [await self._probe(variant.name) for variant in experiment.variants]
        if experiment.mirror:
            tasks.append(await self._probe(experiment.mirror.to))
        if len(set(tasks)) > 1:
            raise ExperimentError(f"{experiment.name}: variants: they answer different tasks: {', '.join(set(tasks))}")
        last = await asyncio.to_thread(history.last, self.engine, experiment.name)
        state = State(experiment=experiment, split=new_split(experiment.weights))
        return await self._apply(state, who, "create", why, last.id if last else 0)

    async def set_weights(
        self, name: str, weights: dict[str, float], who: str, why: str, what: ChangeKind = "weights"
    ) -> Change:
        """Set percent by variant, 0 for those not named; only as many users change variant as must."""

        def update(state: State) -> State:
            experiment = state.experiment.with_weights(weights)
            return State(experiment=experiment, split=rebalance(state.split, experiment.weights))

        return await self._change(name, who, what, why, update)

    async def promote(self, name: str, variant: str, who: str, why: str) -> Change:
        """Send all traffic to this variant."""
        return await self.set_weights(name, {variant: 100}, who, why, "promote")

    async def mirror(self, name: str, mirror: Mirror, who: str, why: str) -> Change:
        """Copy a share of the requests to another variant; 0 percent ends it. Raises VariantNotReadyError."""
        if mirror.percent:
            await self._probe(mirror.to)
        value = mirror if mirror.percent else None
        return await self._change(
            name,
            *(who, "mirror", why),
            lambda state: state.model_copy(update={"experiment": state.experiment.with_fields(mirror=value)}),
        )

    async def stop(self, name: str, who: str, why: str) -> Change:
        """Stop an experiment: its endpoint is gone, or is the model of that name again."""
        return await self._change(name, who, "stop", why, lambda state: state.model_copy(update={"running": False}))

    async def rollback(self, name: str, who: str, why: str) -> Change:
        """Restore exactly the state before the last change. Raises NothingToRollBackError."""
        async with self._lock:
            before = await asyncio.to_thread(history.previous, self.engine, name)
            if before:
                await self._validate(before.state)
            change = await asyncio.to_thread(history.rollback, self.engine, name, who, why)
        return await self._confirm(change)

    async def _change(
        self, name: str, who: str, what: ChangeKind, why: str, update: Callable[[State], State]
    ) -> Change:
        last = await asyncio.to_thread(history.last, self.engine, name)
        if last is None or not last.state.running:
            raise UnknownExperimentError(f"no experiment {name} runs")
        return await self._apply(update(last.state), who, what, why, last.id)

    async def _apply(self, state: State, who: str, what: ChangeKind, why: str, after: int) -> Change:
        async with self._lock:
            await self._validate(state)
            change = await asyncio.to_thread(history.append, self.engine, state, who, what, why, after=after)
        return await self._confirm(change)

    async def _validate(self, state: State) -> None:
        """Let Envoy check the routes before they are stored: bad ones would block all later changes, too."""
        models = self._reconciler.route_states()
        states = {**self._cache.states, state.experiment.name: state}
        extension = matcher_tree.route_extension(states.values(), models, self._cache.key)
        await asyncio.to_thread(gateway.validate, self._reconciler.settings, models, extension)

    async def _confirm(self, change: Change) -> Change:
        """Return the change once Envoy reports that it runs on the new routes."""
        await asyncio.to_thread(self._cache.refresh, self.engine)
        deadline = time.monotonic() + CONFIRM_SECONDS
        while not (await self._reconciler.status()).envoy.ready:
            if time.monotonic() > deadline:
                raise NotAppliedError(f"change {change.id} is kept, but Envoy has not taken it yet: see /ready")
            await asyncio.sleep(POLL_SECONDS)
        return change

    async def _probe(self, variant: str) -> str:
        """Return the task of a version after a canary request to it; raise VariantNotReadyError if that fails."""
        model, _, version = variant.rpartition("@")
        try:
            return await self._reconciler.probe(model, version)
        except (TorchServeError, httpx.HTTPError) as exc:
            raise VariantNotReadyError(f"{variant}: {exc}") from exc


def with_ramp_step(experiment: Experiment, percent: float) -> Experiment:
    """Return the experiment with the last variant at `percent`; the control's weight takes up the difference."""
    newest = experiment.variants[-1].name
    weights = {**experiment.weights, newest: percent}
    weights[experiment.control] += experiment.weights[newest] - percent
    return experiment.with_weights(weights)
