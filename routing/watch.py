"""What happens by itself: the log is read, bad variants go back to 0, ramps go on, bandits move the weights."""

import asyncio
import logging
import time
from collections.abc import Awaitable

import httpx
import numpy as np
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from routing import bandit, exposures, feedback, history, milestones, observed
from routing.exposures import Ingest
from routing.history import ConflictError, State
from routing.live import Live
from routing.lookout import Lookout, window
from routing.observed import Requests
from routing.pilot import Pilot, UnconfirmedError, UnknownError, stepped
from routing.statistics import Arm
from routing.suspicion import suspicion
from serving.access_log import exposures_file
from serving.settings import LOOPBACK, Settings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
FORGET_SECONDS = 3600.0
KEEP_SECONDS = 90 * 86_400.0  # requests and feedback; the history stays

LEAST_MOVE = 0.5  # percent: for less, users are left where they are

EXPECTED = (SQLAlchemyError, httpx.HTTPError, ConflictError, UnknownError, UnconfirmedError)


class Watch:
    """Runs in control, beside the fleet's loop; several nodes may: history refuses the second of two changes."""

    def __init__(self, settings: Settings, engine: Engine, live: Live, pilot: Pilot) -> None:
        self._engine, self._live, self._pilot = engine, live, pilot
        self._ingest = Ingest(engine, exposures_file(settings))
        self._admin = f"http://{LOOPBACK}:{settings.envoy_admin_port}"
        self._lookouts: dict[str, Lookout] = {}
        self._random = np.random.default_rng()
        self._forgotten = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._guarded("the log", self._read())
            for name, state in self._live.running.items():
                await self._guarded(name, self._look(name, state))
            await asyncio.sleep(LOOK_SECONDS)

    async def _guarded(self, what: str, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as fault:  # one experiment in trouble must not keep the others from being looked at
            logger.log(logging.WARNING, "%s: %s", what, fault, exc_info=not isinstance(fault, EXPECTED))

    async def _read(self) -> None:
        """Requests and feedback into the database, and another node's changes out of it."""
        now = time.time()
        while await asyncio.to_thread(self._ingest.read):
            await asyncio.sleep(0)
        await asyncio.to_thread(self._ingest.rotate, self._reopen)
        await asyncio.to_thread(feedback.settle, self._engine, now)
        await asyncio.to_thread(self._live.refresh, self._engine)
        if now - self._forgotten > FORGET_SECONDS:
            await asyncio.to_thread(exposures.forget, self._engine, now - KEEP_SECONDS)
            self._forgotten = now

    def _reopen(self) -> None:
        httpx.post(f"{self._admin}/reopen_logs", timeout=5, trust_env=False).raise_for_status()

    async def _look(self, name: str, state: State) -> None:
        """The guard first; what it found suspicious goes no further up."""
        experiment = state.experiment
        if not (experiment.guard or experiment.ramp or experiment.bandit):
            return
        changes = await asyncio.to_thread(history.changes, self._engine, name)
        moved = milestones.moved(changes)
        lookout = self._lookouts.get(name)
        if lookout is None or lookout.since != moved.at:
            lookout = self._lookouts[name] = Lookout(self._engine, name, moved.at)
        seen = await asyncio.to_thread(lookout.look, time.time())
        if not await self._guard(state, seen) and not await self._ramp(state, seen, moved.at):
            await self._bandit(state, milestones.created(changes).at, moved.at)

    async def _guard(self, state: State, seen: dict[str, Requests]) -> bool:
        """A variant that is worse than the control goes back to 0."""
        experiment = state.experiment
        if experiment.guard is None:
            return False
        control = window(seen.get(experiment.control))
        for name, weight in experiment.weights.items():
            if name == experiment.control or not weight:
                continue
            why = await asyncio.to_thread(suspicion, window(seen.get(name)), control, experiment.guard)
            if why:
                logger.warning("%s: %s goes back to 0: %s", experiment.name, name, why)
                rest = {**experiment.weights, name: 0.0}
                rest[experiment.control] += weight
                await self._pilot.weigh(experiment.name, rest, "guard", f"{name}: {why}", "guard")
                return True
        return False

    async def _ramp(self, state: State, seen: dict[str, Requests], moved: float) -> bool:
        """The next step, when this one was long enough and the guard had nothing to say."""
        experiment, ramp = state.experiment, state.experiment.ramp
        newest = experiment.variants[-1]
        # One that is at 0 was sent back, and stays there until somebody decides.
        if ramp is None or not newest.weight or time.time() - moved < ramp.seconds:
            return False
        if window(seen.get(newest.name)).requests < ramp.requests:
            return False
        for step in ramp.steps:
            if step > newest.weight:
                weights = stepped(experiment, step).weights
                why = f"{newest.weight:g} % was held for {ramp.seconds:g} s and the guard is content"
                await self._pilot.weigh(experiment.name, weights, "ramp", why, "ramp")
                return True
        return False

    async def _bandit(self, state: State, created: float, moved: float) -> None:
        """Weights by the chance of each variant to be the best."""
        experiment = state.experiment
        if experiment.bandit is None or time.time() - moved < experiment.bandit.seconds:
            return
        rewarded = await asyncio.to_thread(observed.rewards, self._engine, experiment.name, created)
        arms = [
            Arm.of(name, np.array([it.reward for it in rewarded if it.variant == name])) for name in experiment.weights
        ]
        weights = bandit.weights(arms, experiment.bandit, self._random)
        if all(abs(weights[name] - weight) < LEAST_MOVE for name, weight in experiment.weights.items()):
            return
        why = ", ".join(f"{arm.name} {arm.mean:.4g} of {arm.n}" for arm in arms if arm.n) or "no rewards yet"
        await self._pilot.weigh(experiment.name, weights, "bandit", f"mean reward: {why}", "bandit")
