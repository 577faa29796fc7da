"""Work that outlasts a tick: one piece at a time, and a pause after one that failed."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import httpx

from archive.verify import NotVerifiedError
from serving.management import RefusedError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0


class Errand:
    """Runs coroutines in the background; `failed` is called with the reason when one raises."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0

    @property
    def busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` unless something runs already or failed a moment ago."""
        if self.busy or time.monotonic() < self._not_before:
            work.close()
        else:
            self._task = asyncio.create_task(self._guard(work))

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as fault:  # whatever it is: one model must not keep the others from being served
            if not isinstance(fault, RefusedError | NotVerifiedError | httpx.HTTPError):
                logger.exception("unexpected")
            self._not_before = time.monotonic() + PAUSE_SECONDS
            self._failed(str(fault) or type(fault).__name__)
