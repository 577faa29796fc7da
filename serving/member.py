"""One version of one model on its way from an archive in the store to a worker that answered."""

import asyncio
import time

from archive.verify import NotVerifiedError
from serving import canary, desired, drain, no_wait, worker_log
from serving.desired import Version
from serving.errand import Errand
from serving.gateway import Gateway
from serving.management import Description, RefusedError, TorchServe, Worker
from serving.routes import GRACE_SECONDS, HOLD_SECONDS
from serving.settings import Settings
from serving.status import Canary, State, VersionStatus
from serving.store import Archive
from serving.torchserve import classes
from serving.views import VersionView

# TorchServe gives up a model after its maxRetryTimeoutInSec; only a scaling from 0 wakes it again.
REVIVE_SECONDS = 30.0


class Member:
    """`observe` is called at every tick with what TorchServe says; what takes longer runs as one task at a time."""

    def __init__(self, settings: Settings, name: str, version: str, wanted: Version) -> None:
        self.archive = Archive(name, version, settings.store / wanted.archive)
        self.wanted = wanted
        self.state: State = "waiting"
        self.reason: str | None = "TorchServe is starting"
        self.workers: list[Worker] = []
        self._settings = settings
        self._deadline, self._streams = 0.0, False
        self._proven: set[int] = set()  # pids of workers that were READY when a canary was answered
        self._known: set[int] = set()  # pids that were READY at some time: their death is not a failure to load
        self._since = time.monotonic()
        self._refused_at: float | None = None  # when the refused files had been written
        self._canary: Canary | None = None
        self._shrinking = False
        self._errand = Errand(self._failed)

    def __str__(self) -> str:
        return f"{self.archive.name} {self.archive.version}"

    @property
    def settled(self) -> bool:
        """Nothing is going to change by itself. A worker's death is seen by its pid, which is cheap."""
        calm = (
            self.state in {"ready", "stopped"} and len(self.workers) == self.wanted.workers and not self.wanted.retiring
        )
        return calm and not self._errand.busy and all(worker.alive for worker in self.workers)

    @property
    def view(self) -> VersionView:
        """What Envoy shall do with requests for this version."""
        if self.state == "ready":
            return VersionView(self._deadline, hold=self._shrinking, streams=self._streams)
        if self.state == "retiring":
            return VersionView(self._deadline, (404, f"{self} was retired"), streams=self._streams)
        return VersionView(self._deadline, (503, f"{self} is not ready: {self.reason}"), streams=self._streams)

    @property
    def status(self) -> VersionStatus:
        return VersionStatus(
            ready=self.state == "ready",
            state=self.state,
            reason=self.reason,
            canary=self._canary if self._proven else None,
            workers=self.workers,
        )

    def observe(self, described: Description | None, torchserve: TorchServe) -> None:
        """Compare with what is wanted and begin the next step; `described` is None while it is not registered."""
        self.workers = described.workers if described else []
        ready = {worker.pid for worker in self.workers if worker.status == "READY" and worker.alive}
        self._proven &= ready
        self._known |= ready
        if self.wanted.retiring:
            self._become("retiring", "no new requests; those in flight are waited for")
        elif described is None:
            self._register_unless_refused(torchserve)
        elif self.wanted.workers == 0:
            self._known.clear()
            self._shrinking = described.min_workers > 0
            self._become("stopped", "it is scaled to 0 workers")
        elif described.min_workers < self.wanted.workers:
            self._errand.begin(self._scale(torchserve))
        elif not ready:
            self._wait_for_worker(described, torchserve)
        elif ready - self._proven:
            self._prove(ready, described, torchserve)
        else:
            self._shrinking = described.min_workers > self.wanted.workers
            self._become("ready")

    def proceed(self, torchserve: TorchServe, gateway: Gateway) -> None:
        """Called when Envoy does what `view` says: now workers can be taken away."""
        if self.state == "retiring":
            self._errand.begin(self._retire(torchserve, gateway))
        elif self._shrinking:
            self._errand.begin(self._shrink(torchserve, gateway))

    async def prove(self, torchserve: TorchServe) -> str:
        """Ask the canary once more; the task that the card names. Raises RefusedError and httpx.TransportError."""
        await canary.ask(torchserve, self.archive, self._longest)
        return str((self.archive.card or {}).get("task", "unknown"))

    def cancel(self) -> None:
        self._errand.cancel()

    @property
    def _longest(self) -> float:
        """Seconds that a request may take at most, as Envoy sees it."""
        return self._deadline + GRACE_SECONDS

    def _become(self, state: State, reason: str | None = None) -> None:
        if state != self.state:
            self._since = time.monotonic()
        self.state, self.reason = state, reason

    def _failed(self, why: str) -> None:
        """With a worker that did answer, one lost check is no reason to refuse service."""
        if not self._proven:
            self._become("failed", why)

    def _register_unless_refused(self, torchserve: TorchServe) -> None:
        if self._refused_at != self.archive.written_at(self._settings.public_key):
            self._errand.begin(self._register(torchserve))

    async def _register(self, torchserve: TorchServe) -> None:
        written_at = self.archive.written_at(self._settings.public_key)
        try:
            await asyncio.to_thread(self.archive.verify, self._settings.public_key)
        except NotVerifiedError as fault:
            self._refused_at = written_at
            self._become("refused", str(fault))
            return
        self._become("registering", "TorchServe is unpacking it")
        # 1 ms is the shortest delay that TorchServe knows; who asks for more wants to wait.
        knows_no_wait = no_wait.CHANGE.active(classes(self._settings)) and self.archive.config.get("maxBatchDelay") == 1
        faster = {"max_batch_delay": 0} if knows_no_wait else {}
        await torchserve.register(self.archive.name, self.archive.path.name, self.wanted.workers, **faster)
        self._become("loading", "its worker is loading")

    async def _scale(self, torchserve: TorchServe) -> None:
        await torchserve.scale(self.archive.name, self.archive.version, self.wanted.workers)

    def _wait_for_worker(self, described: Description, torchserve: TorchServe) -> None:
        died = [worker for worker in self.workers if worker.pid > 0 and not worker.alive]
        waited = time.monotonic() - self._since
        if self.state == "failed":
            if waited > described.max_retry_timeout_in_sec + REVIVE_SECONDS:
                self._errand.begin(self._revive(torchserve))
        elif any(worker.pid not in self._known for worker in died):
            self._errand.begin(self._say_why_it_died())
        elif self.state == "loading" and waited > described.startup_timeout + GRACE_SECONDS:
            self._become("failed", f"no worker was READY within {described.startup_timeout} s")
        else:
            self._become("loading", "its worker died, another is starting" if self._known else "its worker is loading")

    async def _say_why_it_died(self) -> None:
        log = await worker_log.last_error(self._settings, self.archive.name, self.archive.version)
        self._failed(f"its worker died while loading: {log}")

    async def _revive(self, torchserve: TorchServe) -> None:
        await drain.shrink(torchserve, self.archive.name, self.archive.version, 0, self._longest)
        await self._scale(torchserve)
        self._become("loading", "its worker is starting once more")

    def _prove(self, ready: set[int], described: Description, torchserve: TorchServe) -> None:
        self._deadline, self._streams = described.response_timeout, described.continuous_batching
        if not self._proven and self.state != "failed":
            self._become("checking", "its canary was not answered yet")
        self._errand.begin(self._ask(ready, torchserve))

    async def _ask(self, ready: set[int], torchserve: TorchServe) -> None:
        try:
            self._canary = await canary.ask(torchserve, self.archive, self._longest)
        except RefusedError as fault:
            log = await worker_log.last_error(self._settings, self.archive.name, self.archive.version)
            raise RefusedError(f"{fault}; the last error in its log: {log}") from fault
        self._proven |= ready
        self._become("ready")

    async def _shrink(self, torchserve: TorchServe, gateway: Gateway) -> None:
        name, version, workers = self.archive.name, self.archive.version, self.wanted.workers
        await drain.quiet(gateway, name, version, HOLD_SECONDS if workers else self._longest)
        await drain.shrink(torchserve, name, version, workers, self._longest)
        self._shrinking = False

    async def _retire(self, torchserve: TorchServe, gateway: Gateway) -> None:
        name, version = self.archive.name, self.archive.version
        await drain.quiet(gateway, name, version, self._longest)
        await drain.unregister(torchserve, name, version, self._longest)
        with desired.change(self._settings) as wanted:
            wanted.drop(name, version)
