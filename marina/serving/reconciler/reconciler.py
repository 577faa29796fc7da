"""The loop that makes running state match desired state: models in TorchServe, and Envoy's routes to ready ones."""

import asyncio
import contextlib
import time
from dataclasses import replace

import httpx

from marina.errors import MarinaError, TorchServeError
from marina.serving.envoy import gateway
from marina.serving.envoy.gateway import Gateway
from marina.serving.envoy.route_state import NO_EXTENSION, ExtendRoutes, ModelRouteState
from marina.serving.reconciler import desired_state
from marina.serving.reconciler.desired_state import DesiredState
from marina.serving.reconciler.model_version import ModelVersion
from marina.serving.reconciler.status import BundleStatus, ModelStatus, Peers, ServerStatus, low_disk
from marina.serving.torchserve import process
from marina.serving.torchserve.client import Keys, Liveness, TorchServe
from marina.settings import Settings

# While all models are ready only their pids are checked; TorchServe is polled this often.
FULL_POLL_SECONDS = 5.0
# Poll at most every 100 ms, however many clients request the status: one poll of 36 models takes 16 ms.
MIN_POLL_INTERVAL = 0.1
TAKE_OVER_SECONDS = 10.0
TORCHSERVE = {
    "up": ServerStatus(ready=True),
    "silent": ServerStatus(ready=False, reason="TorchServe takes connections but does not answer"),
    "down": ServerStatus(ready=False, reason="TorchServe is not running"),
}


class Reconciler:
    """Reconciler of every version of every model, and of both servers. One instance runs, in the control process.

    `extend_routes` is called at every pass with the models' route states, and returns the routes that come before the
    models' own.
    """

    def __init__(self, settings: Settings, extend_routes: ExtendRoutes = lambda _: NO_EXTENSION) -> None:
        self.settings = settings
        self._extend_routes = extend_routes
        self._peers = Peers(settings)
        self.desired = DesiredState()
        self._versions: dict[tuple[str, str], ModelVersion] = {}
        not_polled = ServerStatus(ready=False, reason="not looked at yet")
        self._status = BundleStatus(ready=False, torchserve=not_polled, envoy=not_polled, models={})
        self._defaults: dict[str, str] = {}
        self._torchserve: TorchServe | None = None
        self._gateway = Gateway(settings)
        self._published: dict[str, str] = {}
        self._last_full_poll = self._last_pass = float("-inf")
        self._started_at = time.monotonic()
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        peers = asyncio.create_task(self._peers.run())
        try:
            while True:
                await self.status()
                await asyncio.sleep(self.settings.poll_seconds)
        finally:
            peers.cancel()
            self._reset()
            await self._gateway.close()

    async def status(self) -> BundleStatus:
        """Return the current status: nothing in it was polled before the call."""
        called_at = time.monotonic()
        async with self._lock:
            if self._last_pass < called_at:  # else another pass began while this call waited for the lock
                await asyncio.sleep(self._last_pass + MIN_POLL_INTERVAL - time.monotonic())
                began_at = time.monotonic()
                await self._reconcile()
                self._last_pass = began_at
            return self._status

    async def probe(self, name: str, version: str) -> str:
        """Send a canary request to a version that is ready on this node; return the task of its card.

        Raises TorchServeError with the reason, and httpx.TransportError.
        """
        model = (await self.status()).models.get(name)
        status = model.versions.get(version) if model else None
        if status is None or self._torchserve is None:
            raise TorchServeError("it is not served: `make register`")
        if not status.ready:
            raise TorchServeError(f"it is not ready: {status.reason}")
        return await self._versions[name, version].probe(self._torchserve)

    async def _reconcile(self) -> None:
        """Poll everything once, begin the next steps, and publish Envoy's configuration."""
        with contextlib.suppress(MarinaError):  # damaged, and without a copy: go on with what was loaded last
            self.desired = desired_state.load(self.settings)
        liveness = await self._connect()
        self._sync_versions()
        if self._torchserve is not None and liveness == "up":
            await self._poll_models(self._torchserve)
        token = self._torchserve.keys.inference if self._torchserve else None
        # No await between these two: models reported as ready are those that Envoy's routes let through.
        models = self._model_statuses()
        if self._taking_over(liveness):
            envoy = ServerStatus(ready=False, reason="control was restarted and has not seen every model yet")
        else:
            states = self.route_states()
            self._published = gateway.publish(self.settings, states, token, self._extend_routes(states))
            envoy = await self._envoy_status()
        if envoy.ready and self._torchserve is not None:
            for version in self._versions.values():
                version.remove_workers(self._torchserve, self._gateway)
        ready = liveness == "up" and envoy.ready and all(model.ready for model in models.values())
        found = {"state_damaged": desired_state.damage(self.settings), "low_disk": low_disk(self.settings)}
        warnings = {code: text for code, text in found.items() if text}
        self._status = BundleStatus(
            ready=ready, warnings=warnings, torchserve=TORCHSERVE[liveness], envoy=envoy, models=models
        )

    def _taking_over(self, liveness: Liveness) -> bool:
        """Return True while a restarted control process must leave Envoy's routes as they are.

        Beside a running TorchServe it waits until every model has responded to its canary: the death of its
        predecessor must not fail a request.
        """
        pending = any(version.state in {"waiting", "checking"} for version in self._versions.values())
        if liveness != "up" or not pending or time.monotonic() - self._started_at > TAKE_OVER_SECONDS:
            self._started_at = float("-inf")
        return self._started_at > float("-inf")

    async def _connect(self) -> Liveness:
        """Check TorchServe's liveness. After a restart it has no models and new keys."""
        keys = Keys.read(self.settings)
        if self._torchserve is None or self._torchserve.keys != keys:
            self._reset()
            self._torchserve = TorchServe(self.settings, keys) if keys else None
        liveness = await self._torchserve.alive() if self._torchserve else "down"
        if liveness == "down":
            self._reset()
        return liveness

    def _reset(self) -> None:
        for version in self._versions.values():
            version.cancel()
        self._versions, self._defaults, self._torchserve = {}, {}, None
        self._last_full_poll = float("-inf")

    def _sync_versions(self) -> None:
        """Hold one ModelVersion for each version of the desired state, and no other."""
        specs = {
            (name, version): spec
            for name, model in self.desired.models.items()
            for version, spec in model.versions.items()
        }
        for key in self._versions.keys() - specs.keys():
            self._versions.pop(key).cancel()
        for key, spec in specs.items():
            self._versions.setdefault(key, ModelVersion(self.settings, *key, spec)).spec = spec

    async def _poll_models(self, torchserve: TorchServe) -> None:
        poll_all = time.monotonic() - self._last_full_poll > FULL_POLL_SECONDS
        names = {name for (name, _), version in self._versions.items() if poll_all or not version.settled}
        names |= {name for name, model in self.desired.models.items() if self._defaults.get(name) != model.default}
        if poll_all:
            self._last_full_poll = time.monotonic()
        await asyncio.gather(*(self._poll_model(torchserve, name) for name in names))

    async def _poll_model(self, torchserve: TorchServe, name: str) -> None:
        model = self.desired.models[name]
        # A TorchServe too busy to respond changes nothing: the next pass polls again.
        with contextlib.suppress(httpx.HTTPError, TorchServeError):
            descriptions = await torchserve.describe(name)
            for version in model.versions:
                self._versions[name, version].reconcile(descriptions.get(version), torchserve)
            if model.default in descriptions and self._defaults.get(name) != model.default:
                await torchserve.set_default(name, model.default)
                self._defaults[name] = model.default

    def route_states(self) -> dict[str, ModelRouteState]:
        """Return the state of every model that Envoy's routes are made of."""
        default_timeout = process.default_timeout(self.settings)
        states: dict[str, ModelRouteState] = {}
        for name, model in self.desired.models.items():
            versions = {}
            for version in model.versions:
                state = self._versions[name, version].route_state
                versions[version] = replace(
                    state,
                    deadline=state.deadline or default_timeout,
                    ready_peers=self._peers.serving(name, version),
                    has_peers=bool(self.settings.peers),
                )
            states[name] = ModelRouteState(model.default, versions)
        return states

    async def _envoy_status(self) -> ServerStatus:
        try:
            applied = await self._gateway.applied(self._published)
        except httpx.HTTPError:
            return ServerStatus(ready=False, reason="Envoy is not running")
        return ServerStatus(ready=applied, reason=None if applied else "Envoy has not taken the latest routes yet")

    def _model_statuses(self) -> dict[str, ModelStatus]:
        statuses = {}
        for name, model in self.desired.models.items():
            versions = {version: self._versions[name, version].status for version in model.versions}
            required = [
                versions[version].ready
                for version, spec in model.versions.items()
                if spec.workers and not spec.retiring
            ]
            statuses[name] = ModelStatus(ready=all(required), default=model.default, versions=versions)
        return statuses
