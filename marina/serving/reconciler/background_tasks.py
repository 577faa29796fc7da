"""Tasks of a model version that outlast one pass of the reconciler: canary request, draining, scaling down.

TorchServe itself kills or strands the requests that its workers process; draining before the end loses none.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import httpx

from marina.errors import TorchServeError
from marina.packaging.verify import NotVerifiedError
from marina.serving.envoy.gateway import Gateway
from marina.serving.reconciler.model_store import Archive
from marina.serving.reconciler.status import Canary
from marina.serving.torchserve.client import TorchServe

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
POLL_SECONDS = 0.2


class BackgroundTask:
    """Runner of coroutines in the background: one at a time, with a pause after one that failed.

    `failed` is called with the reason when a coroutine raises.
    """

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._task: asyncio.Task[None] | None = None
        self._retry_at = 0.0

    @property
    def busy(self) -> bool:
        """True while a coroutine runs."""
        return self._task is not None and not self._task.done()

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Start a coroutine, unless one runs or failed less than RETRY_SECONDS ago."""
        if self.busy or time.monotonic() < self._retry_at:
            coroutine.close()
        else:
            self._task = asyncio.create_task(self._run(coroutine))

    def cancel(self) -> None:
        """Cancel the coroutine that runs, if any."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            await coroutine
        except Exception as exc:  # any: one model must not keep the others from being served
            if not isinstance(exc, TorchServeError | NotVerifiedError | httpx.HTTPError):
                logger.exception("unexpected error in a background task")
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._failed(str(exc) or type(exc).__name__)


async def send_canary(torchserve: TorchServe, archive: Archive, seconds: float) -> Canary:
    """Send the example request of the archive's card to a version that has a READY worker.

    Raises TorchServeError unless the response is 200 with JSON within that many seconds.
    """
    example = archive.example()
    if example is None:
        return "none: the archive gives no example"
    try:
        response = await torchserve.predict(archive.name, archive.version, *example, timeout=seconds)
    except httpx.TimeoutException as exc:
        raise TorchServeError(f"its canary was not answered within {seconds:g} s") from exc
    content_type = response.headers.get("content-type")
    if response.status_code != httpx.codes.OK or "json" not in (content_type or ""):
        raise TorchServeError(f"its canary was answered with {response.status_code} {content_type}")
    return "answered"


async def wait_until_idle(gateway: Gateway, name: str, version: str, seconds: float) -> None:
    """Return when Envoy waits for no response of this version, or after that many seconds."""
    deadline, idle_polls = time.monotonic() + seconds, 0
    while idle_polls < 2 and time.monotonic() < deadline:  # twice: a request may not have been counted yet
        idle_polls = 0 if await gateway.in_flight(name, version) else idle_polls + 1
        await asyncio.sleep(POLL_SECONDS)


async def scale_down(torchserve: TorchServe, name: str, version: str, workers: int, seconds: float) -> None:
    """Scale a version down; return when the workers are gone, or after that many seconds."""
    await torchserve.scale(name, version, workers)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        description = (await torchserve.describe(name)).get(version)
        if description is None or len(description.workers) <= workers:
            return
        await asyncio.sleep(POLL_SECONDS)


async def unregister(torchserve: TorchServe, name: str, version: str, seconds: float) -> None:
    """Unregister a version if it is registered; wait for its workers for at most that many seconds.

    Without workers DELETE does not block a thread of TorchServe.
    """
    if version in await torchserve.describe(name):
        await scale_down(torchserve, name, version, 0, seconds)
        await torchserve.unregister(name, version)
