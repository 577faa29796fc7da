"""Ends that lose no request: TorchServe itself kills or strands what its workers are doing."""

import asyncio
import time

from serving.gateway import Gateway
from serving.management import TorchServe

POLL_SECONDS = 0.2


async def quiet(gateway: Gateway, name: str, version: str, seconds: float) -> None:
    """Return when Envoy waits for no answer of this version any more, or after that many seconds."""
    until, calm = time.monotonic() + seconds, 0
    while calm < 2 and time.monotonic() < until:  # twice: a request may have been on its way to the count
        calm = 0 if await gateway.in_flight(name, version) else calm + 1
        await asyncio.sleep(POLL_SECONDS)


async def shrink(torchserve: TorchServe, name: str, version: str, workers: int, seconds: float) -> None:
    """Scale down, and return when the workers are gone or after that many seconds."""
    await torchserve.scale(name, version, workers)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        described = (await torchserve.describe(name)).get(version)
        if described is None or len(described.workers) <= workers:
            return
        await asyncio.sleep(POLL_SECONDS)


async def unregister(torchserve: TorchServe, name: str, version: str, seconds: float) -> None:
    """Unregister what may or may not be registered. Without workers DELETE does not hold a thread of TorchServe."""
    if version in await torchserve.describe(name):
        await shrink(torchserve, name, version, 0, seconds)
        await torchserve.unregister(name, version)
