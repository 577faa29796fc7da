"""What a worker said before it died."""

import asyncio
import re
import time

from serving.files import last_lines
from serving.settings import Settings

# An exception's own line at the end of a traceback, as in "ModuleNotFoundError: No module named 'x'".
EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b.*")
# TorchServe catches what a handler raises while it loads, logs it, and raises this.
WRAPPER = re.compile(r"RuntimeError: \d{3} - ")
SETTLE_SECONDS = 0.5
PATIENCE_SECONDS = 5.0


def lines(settings: Settings, name: str, version: str) -> list[str]:
    """The last lines of one version's workers, without time and thread."""
    worker = re.compile(rf"W-\d+-{re.escape(name)}_{re.escape(version)}-std\w+ - (.*)")
    found = map(worker.search, last_lines(settings.logs / "models.log", 5000))
    return [match[1] for match in found if match]


def exception(said: list[str]) -> str | None:
    """The last one."""
    return next((line for line in reversed(said) if EXCEPTION.match(line) and not WRAPPER.match(line)), None)


async def last_error(settings: Settings, name: str, version: str) -> str:
    """The last exception in the log of a version's workers, or the last thing they said, and where to read on.

    Waits a moment: what a worker says passes through a pipe and TorchServe's queue, and its death may be seen before.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    await asyncio.sleep(SETTLE_SECONDS)
    while not (error := exception(said := lines(settings, name, version))) and time.monotonic() < give_up:
        await asyncio.sleep(SETTLE_SECONDS)
    return f"{error or (said or ['it said nothing'])[-1]} (see {settings.logs.name}/models.log)"
