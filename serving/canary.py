"""One true request to a version that has a READY worker: the example that its card gives."""

import httpx

from serving.management import RefusedError, TorchServe
from serving.status import Canary
from serving.store import Archive


async def ask(torchserve: TorchServe, archive: Archive, seconds: float) -> Canary:
    """Raises RefusedError unless the answer is 200 with JSON, within that many seconds."""
    example = archive.example()
    if example is None:
        return "none: the archive gives no example"
    try:
        answer = await torchserve.predict(archive.name, archive.version, *example, timeout=seconds)
    except httpx.TimeoutException as fault:
        raise RefusedError(f"its canary was not answered within {seconds:g} s") from fault
    if answer.status_code != httpx.codes.OK or "json" not in answer.headers.get("content-type", ""):
        raise RefusedError(f"its canary was answered with {answer.status_code} {answer.headers.get('content-type')}")
    return "answered"
