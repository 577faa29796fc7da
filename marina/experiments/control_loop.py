"""Control loop of the experiments: it reads the log, applies guards, and moves weights by ramps and bandits."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from functools import partial

import httpx
import numpy as np
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from marina.errors import ExperimentError
from marina.experiments import bandit, feedback, history, log_ingest, queries
from marina.experiments.guardrail import THRESHOLDS, RecentRequests, request_stats, violation
from marina.experiments.history import State
from marina.experiments.log_ingest import LogIngest
from marina.experiments.manager import ExperimentManager, StateCache, with_ramp_step
from marina.experiments.queries import NO_REQUESTS, Requests
from marina.experiments.spec import Guard
from marina.experiments.statistics.confidence_sequences import Arm
from marina.serving.envoy import gateway
from marina.serving.envoy.bootstrap import exposures_file
from marina.settings import Settings

logger = logging.getLogger(__name__)

LOOP_SECONDS = 1.0
CLEANUP_SECONDS = 3600.0
RETENTION_SECONDS = 90 * 86_400.0  # of requests and feedback; the history stays

MIN_WEIGHT_CHANGE = 0.5  # percent: smaller changes of a bandit are not worth moving users

# Errors of operation, logged without a traceback
EXPECTED_ERRORS = (SQLAlchemyError, httpx.HTTPError, ExperimentError)


class ControlLoop:
    """The loop; it runs in control beside the reconciler's.

    Several nodes may run it on one database: the history refuses the second of two changes.
    """

    def __init__(self, settings: Settings, engine: Engine, cache: StateCache, manager: ExperimentManager) -> None:
        self._engine, self._cache, self._manager = engine, cache, manager
        self._ingest = LogIngest(engine, exposures_file(settings))
        self._settings = settings
        self._recent: dict[str, RecentRequests] = {}
        self._random = np.random.default_rng()
        self._cleaned = 0.0  # time of the last cleanup

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._log_errors("the log", self._read_log())
            for name, state in self._cache.running.items():
                await self._log_errors(name, self._update_experiment(name, state))
            await asyncio.sleep(LOOP_SECONDS)

    async def _log_errors(self, what: str, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as exc:  # an error of one experiment must not stop the others
            logger.log(logging.WARNING, "%s: %s", what, exc, exc_info=not isinstance(exc, EXPECTED_ERRORS))

    async def _read_log(self) -> None:
        """Store new requests, resolve feedback, and load the changes that other nodes made."""
        now = time.time()
        while await asyncio.to_thread(self._ingest.read):
            await asyncio.sleep(0)
        await asyncio.to_thread(self._ingest.rotate, partial(gateway.reopen_logs, self._settings))
        await asyncio.to_thread(feedback.resolve_pending, self._engine, now)
        await asyncio.to_thread(self._cache.refresh, self._engine)
        if now - self._cleaned > CLEANUP_SECONDS:
            await asyncio.to_thread(log_ingest.delete_before, self._engine, now - RETENTION_SECONDS)
            self._cleaned = now

    async def _update_experiment(self, name: str, state: State) -> None:
        """Apply the guard first: where it withdraws a variant, neither ramp nor bandit moves weights."""
        experiment = state.experiment
        if not (experiment.guard or experiment.ramp or experiment.bandit):
            return
        changes = await asyncio.to_thread(history.changes, self._engine, name)
        since_weights = history.last_split_change(changes).at
        recent = self._recent.get(name)
        if recent is None or recent.since != since_weights:
            recent = self._recent[name] = RecentRequests(self._engine, name, since_weights)
        now = time.time()
        requests = await asyncio.to_thread(recent.poll, now)
        windows = {length: recent.window_start(length, now) for length in THRESHOLDS}
        if await self._apply_guard(state, requests, windows) or await self._advance_ramp(
            state, requests, since_weights
        ):
            return
        await self._update_bandit(state, history.creation(changes).at, since_weights)

    async def _apply_guard(self, state: State, requests: dict[str, Requests], windows: dict[float, float]) -> bool:
        """Set the weight of a variant that is worse than the control to 0; return whether there was one.

        `windows` are the starts of the present windows by their length.
        """
        experiment = state.experiment
        if experiment.guard is None:
            return False
        for name, weight in experiment.weights.items():
            if name == experiment.control or not weight:
                continue
            pair = requests.get(name), requests.get(experiment.control)
            why = await asyncio.to_thread(_first_violation, pair, experiment.guard, windows)
            if why:
                logger.warning("%s: %s goes back to 0: %s", experiment.name, name, why)
                weights = {**experiment.weights, name: 0.0}
                weights[experiment.control] += weight
                await self._manager.set_weights(experiment.name, weights, "guard", f"{name}: {why}", "guard")
                return True
        return False

    async def _advance_ramp(self, state: State, requests: dict[str, Requests], since_weights: float) -> bool:
        """Go to the ramp's next step if the present one was held for long enough; return whether it did."""
        experiment, ramp = state.experiment, state.experiment.ramp
        newest = experiment.variants[-1]
        # The guard sets a variant to 0, and it stays there until a user decides.
        if ramp is None or not newest.weight or time.time() - since_weights < ramp.seconds:
            return False
        if len(requests.get(newest.name, NO_REQUESTS).at) < ramp.requests:
            return False
        for step in ramp.steps:
            if step > newest.weight:
                weights = with_ramp_step(experiment, step).weights
                why = f"{newest.weight:g} % was held for {ramp.seconds:g} s and the guard is content"
                await self._manager.set_weights(experiment.name, weights, "ramp", why, "ramp")
                return True
        return False

    async def _update_bandit(self, state: State, since: float, since_weights: float) -> None:
        """Set the weights by the probability of each variant to be the best, from rewards since the creation."""
        experiment = state.experiment
        if experiment.bandit is None or time.time() - since_weights < experiment.bandit.seconds:
            return
        rewards = await asyncio.to_thread(queries.rewards, self._engine, experiment.name, since)
        arms = [
            Arm.of(name, np.array([unit.reward for unit in rewards if unit.variant == name]))
            for name in experiment.weights
        ]
        weights = bandit.weights(arms, experiment.bandit, self._random)
        if all(abs(weights[name] - weight) < MIN_WEIGHT_CHANGE for name, weight in experiment.weights.items()):
            return
        why = ", ".join(f"{arm.name} {arm.mean:.4g} of {arm.n}" for arm in arms if arm.n) or "no rewards yet"
        await self._manager.set_weights(experiment.name, weights, "bandit", f"mean reward: {why}", "bandit")


def _first_violation(
    pair: tuple[Requests | None, Requests | None], guard: Guard, windows: dict[float, float]
) -> str | None:
    """Return the violation of a candidate, given beside the control, in the first window that has one."""
    for length, since in windows.items():
        candidate, control = (request_stats(requests, since) for requests in pair)
        if why := violation(candidate, control, guard, length):
            return why
    return None
