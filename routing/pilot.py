"""Every change of an experiment: checked, written down, and seen in Envoy before it is called done."""

import asyncio
import time
from collections.abc import Callable

import httpx
from sqlalchemy import Engine

from routing import history, render
from routing.experiments import Experiment, ExperimentError, Mirror
from routing.history import Change, State, What
from routing.live import Live
from routing.split import change, divide
from serving import gateway
from serving.fleet import Fleet
from serving.management import RefusedError

CONFIRM_SECONDS = 15.0
POLL_SECONDS = 0.1


class UnknownError(LookupError):
    """There is no such running experiment."""


class UnreadyError(Exception):
    """A variant can't answer."""


class UnconfirmedError(Exception):
    """The change is written down, but Envoy has not taken it yet."""


class Pilot:
    """One change at a time on this node; history.ConflictError tells of another node's."""

    def __init__(self, engine: Engine, live: Live, fleet: Fleet) -> None:
        self.engine = engine
        self._live = live
        self._fleet = fleet
        self._lock = asyncio.Lock()

    async def create(self, experiment: Experiment, who: str, why: str) -> Change:
        """Start it. Raises ExperimentError if it runs already or mixes tasks, and UnreadyError."""
        if experiment.name in self._live.running:
            raise ExperimentError(f"{experiment.name}: it runs already; stop it first")
        if experiment.ramp:
            experiment = stepped(experiment, experiment.ramp.steps[0])
        tasks = [await self._ready(variant.name) for variant in experiment.variants]
        if experiment.mirror:
            tasks.append(await self._ready(experiment.mirror.to))
        if len(set(tasks)) > 1:
            raise ExperimentError(f"{experiment.name}: variants: they answer different tasks: {', '.join(set(tasks))}")
        last = await asyncio.to_thread(history.last, self.engine, experiment.name)
        state = State(experiment=experiment, split=divide(experiment.weights))
        return await self._put(state, who, "create", why, last.id if last else 0)

    async def weigh(self, name: str, weights: dict[str, float], who: str, why: str, what: What = "weights") -> Change:
        """Percent by variant, 0 for those not named; moves only the users that must move."""

        def weighed(state: State) -> State:
            experiment = state.experiment.weighed(weights)
            return State(experiment=experiment, split=change(state.split, experiment.weights))

        return await self._change(name, who, what, why, weighed)

    async def promote(self, name: str, variant: str, who: str, why: str) -> Change:
        """Everybody gets this variant."""
        return await self.weigh(name, {variant: 100}, who, why, "promote")

    async def mirror(self, name: str, mirror: Mirror, who: str, why: str) -> Change:
        """Copy a share of the requests to another variant; 0 percent ends it."""
        if mirror.percent:
            await self._ready(mirror.to)
        copied = mirror if mirror.percent else None
        return await self._change(
            name,
            *(who, "mirror", why),
            lambda state: state.model_copy(update={"experiment": state.experiment.changed(mirror=copied)}),
        )

    async def stop(self, name: str, who: str, why: str) -> Change:
        """Its endpoint is gone, or answered by the model of that name."""
        return await self._change(name, who, "stop", why, lambda state: state.model_copy(update={"running": False}))

    async def rollback(self, name: str, who: str, why: str) -> Change:
        """Exactly the state before the last change. Raises history.NothingBeforeError."""
        async with self._lock:
            before = await asyncio.to_thread(history.previous, self.engine, name)
            if before:
                await self._validate(before.state)
            done = await asyncio.to_thread(history.rollback, self.engine, name, who, why)
        return await self._confirmed(done)

    async def _change(self, name: str, who: str, what: What, why: str, new: Callable[[State], State]) -> Change:
        last = await asyncio.to_thread(history.last, self.engine, name)
        if last is None or not last.state.running:
            raise UnknownError(f"no experiment {name} runs")
        return await self._put(new(last.state), who, what, why, last.id)

    async def _put(self, state: State, who: str, what: What, why: str, after: int) -> Change:
        async with self._lock:
            await self._validate(state)
            done = await asyncio.to_thread(history.append, self.engine, state, who, what, why, after=after)
        return await self._confirmed(done)

    async def _validate(self, state: State) -> None:
        """Ask Envoy first: routes that it refuses would stop all later changes, too."""
        views = self._fleet.views()
        states = {**self._live.states, state.experiment.name: state}
        overlay = render.overlay(states.values(), views)
        await asyncio.to_thread(gateway.validate, self._fleet.settings, views, overlay)

    async def _confirmed(self, done: Change) -> Change:
        """Return when Envoy says that it runs on the new routes."""
        await asyncio.to_thread(self._live.refresh, self.engine)
        until = time.monotonic() + CONFIRM_SECONDS
        while not (await self._fleet.status()).envoy.ready:
            if time.monotonic() > until:
                raise UnconfirmedError(f"change {done.id} is kept, but Envoy has not taken it yet: see /ready")
            await asyncio.sleep(POLL_SECONDS)
        return done

    async def _ready(self, variant: str) -> str:
        """The task of a version that is READY and answered its canary just now; else raises UnreadyError."""
        model, _, version = variant.rpartition("@")
        try:
            return await self._fleet.prove(model, version)
        except (RefusedError, httpx.HTTPError) as fault:
            raise UnreadyError(f"{variant}: {fault}") from fault


def stepped(experiment: Experiment, percent: float) -> Experiment:
    """The last variant at this share; the control gives it, or takes what is over."""
    newest = experiment.variants[-1].name
    weights = {**experiment.weights, newest: percent}
    weights[experiment.control] += experiment.weights[newest] - percent
    return experiment.weighed(weights)
