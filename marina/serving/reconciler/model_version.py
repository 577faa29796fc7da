"""One version of one model, on its way from an archive in the store to a worker that responds."""

import asyncio
import time
from dataclasses import replace

from marina.errors import TorchServeError
from marina.packaging.verify import NotVerifiedError
from marina.serving.envoy.content_types import ACCEPT_FORMS
from marina.serving.envoy.gateway import Gateway
from marina.serving.envoy.route_state import VersionRouteState
from marina.serving.envoy.routes import GRACE_SECONDS, HOLD_SECONDS
from marina.serving.reconciler import background_tasks, desired_state, verified_store
from marina.serving.reconciler.background_tasks import BackgroundTask
from marina.serving.reconciler.desired_state import VersionSpec
from marina.serving.reconciler.model_store import Archive
from marina.serving.reconciler.status import Canary, State, VersionStatus
from marina.serving.torchserve import process
from marina.serving.torchserve.client import TorchServe, VersionDescription, Worker
from marina.serving.torchserve.patches import BATCHING
from marina.settings import Settings

# TorchServe stops restarting workers after maxRetryTimeoutInSec; only scaling up from 0 starts them again.
RESTART_SECONDS = 30.0


class ModelVersion:
    """State machine of one version.

    `reconcile` is called at every pass with TorchServe's description; longer steps run as one background task at a
    time.
    """

    def __init__(self, settings: Settings, name: str, version: str, spec: VersionSpec) -> None:
        self.source = Archive(name, version, settings.store / spec.archive)
        self.archive = verified_store.copy_of(settings, self.source)
        self.spec = spec
        self.state: State = "waiting"
        self.reason: str | None = "TorchServe is starting"
        self.workers: list[Worker] = []
        self._settings = settings
        self._routes = VersionRouteState(0.0)  # as the archive and TorchServe describe them
        self._checked: set[int] = set()  # pids of workers that were READY when a canary succeeded
        self._loaded: set[int] = set()  # pids that were READY once: their death is not a failure to load
        self._state_since = time.monotonic()
        self._refused_at: float | None = None  # modification time of the files that were refused
        self._canary: Canary | None = None
        self._scaling_down = False
        self._task = BackgroundTask(self._failed)

    def __str__(self) -> str:
        return f"{self.archive.name} {self.archive.version}"

    @property
    def settled(self) -> bool:
        """True if nothing changes by itself. The death of a worker is detected by its pid, which is cheap."""
        matches_spec = len(self.workers) == self.spec.workers and not self.spec.retiring
        settled = self.state in {"ready", "stopped"} and matches_spec and not self._task.busy
        return settled and all(worker.alive for worker in self.workers)

    @property
    def route_state(self) -> VersionRouteState:
        """State that Envoy's routes to this version are made of."""
        if self.state == "ready":
            return replace(self._routes, hold=self._scaling_down)
        if self.state == "retiring":
            return replace(self._routes, closed=(404, f"{self} was retired"))
        return replace(self._routes, closed=(503, f"{self} is not ready: {self.reason}"))

    @property
    def status(self) -> VersionStatus:
        """Status as /ready reports it."""
        return VersionStatus(
            ready=self.state == "ready",
            state=self.state,
            reason=self.reason,
            canary=self._canary if self._checked else None,
            workers=self.workers,
        )

    def reconcile(self, description: VersionDescription | None, torchserve: TorchServe) -> None:
        """Compare with the spec and begin the next step; `description` is None while it is not registered."""
        self.workers = description.workers if description else []
        ready = {worker.pid for worker in self.workers if worker.status == "READY" and worker.alive}
        self._checked &= ready
        self._loaded |= ready
        if self.spec.retiring:
            self._set_state("retiring", "no new requests; those in flight are waited for")
        elif description is None:
            self._register_unless_refused(torchserve)
        elif self.spec.workers == 0:
            self._loaded.clear()
            self._scaling_down = description.min_workers > 0
            self._set_state("stopped", "it is scaled to 0 workers")
        elif description.min_workers < self.spec.workers:
            self._task.begin(self._scale(torchserve))
        elif not ready:
            self._wait_for_worker(description, torchserve)
        elif ready - self._checked:
            self._check(ready, description, torchserve)
        else:
            self._scaling_down = description.min_workers > self.spec.workers
            self._set_state("ready")

    def remove_workers(self, torchserve: TorchServe, gateway: Gateway) -> None:
        """Begin scaling down or retiring. Called when Envoy has applied `route_state`, so that no request is lost."""
        if self.state == "retiring":
            self._task.begin(self._retire(torchserve, gateway))
        elif self._scaling_down:
            self._task.begin(self._scale_down(torchserve, gateway))

    async def probe(self, torchserve: TorchServe) -> str:
        """Send a canary request; return the task of the card.

        Raises TorchServeError and httpx.TransportError.
        """
        await background_tasks.send_canary(torchserve, self.archive, self._timeout)
        return str((self.archive.card or {}).get("task", "unknown"))

    def cancel(self) -> None:
        """Cancel the background task."""
        self._task.cancel()

    @property
    def _timeout(self) -> float:
        """Seconds that a request may take at most, as in Envoy's routes."""
        return self._routes.deadline + GRACE_SECONDS

    def _set_state(self, state: State, reason: str | None = None) -> None:
        if state != self.state:
            self._state_since = time.monotonic()
        self.state, self.reason = state, reason

    def _failed(self, reason: str) -> None:
        """Become failed, unless a worker has passed the canary: then one failed check does not end service."""
        if not self._checked:
            self._set_state("failed", reason)

    def _register_unless_refused(self, torchserve: TorchServe) -> None:
        if self._refused_at != self.source.written_at(self._settings.keys):
            self._task.begin(self._register(torchserve))

    async def _register(self, torchserve: TorchServe) -> None:
        written_at = self.source.written_at(self._settings.keys)
        try:
            self.archive = await asyncio.to_thread(verified_store.admitted, self._settings, self.source)
        except NotVerifiedError as exc:
            self._refused_at = written_at
            self._set_state("refused", str(exc))
            return
        self._set_state("registering", "TorchServe is unpacking it")
        # 1 ms is the shortest delay of a stock TorchServe, and stands for none; a longer one is intended.
        patched = BATCHING.active(process.classes_folder(self._settings))
        no_delay = {"max_batch_delay": 0} if patched and self.archive.config.get("maxBatchDelay") == 1 else {}
        await torchserve.register(self.archive.name, self.archive.path.name, self.spec.workers, **no_delay)
        self._set_state("loading", "its worker is loading")

    async def _scale(self, torchserve: TorchServe) -> None:
        await torchserve.scale(self.archive.name, self.archive.version, self.spec.workers)

    def _wait_for_worker(self, description: VersionDescription, torchserve: TorchServe) -> None:
        dead = [worker for worker in self.workers if worker.pid > 0 and not worker.alive]
        waited = time.monotonic() - self._state_since
        if self.state == "failed":
            if waited > description.max_retry_timeout_in_sec + RESTART_SECONDS:
                self._task.begin(self._restart(torchserve))
        elif any(worker.pid not in self._loaded for worker in dead):
            self._task.begin(self._report_death())
        elif self.state == "loading" and waited > description.startup_timeout + GRACE_SECONDS:
            self._set_state("failed", f"no worker was READY within {description.startup_timeout} s")
        else:
            reason = "its worker died, another is starting" if self._loaded else "its worker is loading"
            self._set_state("loading", reason)

    async def _last_error(self) -> str:
        return await process.last_worker_error(self._settings, self.archive.name, self.archive.version)

    async def _report_death(self) -> None:
        self._failed(f"its worker died while loading: {await self._last_error()}")

    async def _restart(self, torchserve: TorchServe) -> None:
        name, version = self.archive.name, self.archive.version
        await background_tasks.scale_down(torchserve, name, version, 0, self._timeout)
        await self._scale(torchserve)
        self._set_state("loading", "its worker is starting once more")

    def _check(self, ready: set[int], description: VersionDescription, torchserve: TorchServe) -> None:
        self._routes = VersionRouteState(
            description.response_timeout,
            streams=description.continuous_batching,
            has_card=self.archive.card is not None,
            accepts_forms=self.archive.config.get(ACCEPT_FORMS) is True,
        )
        if not self._checked and self.state != "failed":
            self._set_state("checking", "its canary was not answered yet")
        self._task.begin(self._send_canary(ready, torchserve))

    async def _send_canary(self, ready: set[int], torchserve: TorchServe) -> None:
        try:
            self._canary = await background_tasks.send_canary(torchserve, self.archive, self._timeout)
        except TorchServeError as exc:
            raise TorchServeError(f"{exc}; the last error in its log: {await self._last_error()}") from exc
        self._checked |= ready
        self._set_state("ready")

    async def _scale_down(self, torchserve: TorchServe, gateway: Gateway) -> None:
        name, version, workers = self.archive.name, self.archive.version, self.spec.workers
        await background_tasks.wait_until_idle(gateway, name, version, HOLD_SECONDS if workers else self._timeout)
        await background_tasks.scale_down(torchserve, name, version, workers, self._timeout)
        self._scaling_down = False

    async def _retire(self, torchserve: TorchServe, gateway: Gateway) -> None:
        name, version = self.archive.name, self.archive.version
        await background_tasks.wait_until_idle(gateway, name, version, self._timeout)
        await background_tasks.unregister(torchserve, name, version, self._timeout)
        with desired_state.change(self._settings) as desired:
            desired.drop(name, version)
        verified_store.remove(self.archive.path)
