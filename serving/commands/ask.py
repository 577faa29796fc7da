"""What every command needs of a running bundle: its status, and to wait until a change came true."""

import time
from collections.abc import Callable

import httpx
from rich.console import Console

from serving import supervise
from serving.errors import MarinaError
from serving.management import Keys
from serving.settings import LOOPBACK, Settings
from serving.status import BundleStatus

console = Console()


def status(settings: Settings) -> BundleStatus | None:
    """What control says; None while it does not answer."""
    try:
        answer = httpx.get(f"http://{LOOPBACK}:{settings.control_port}/ready", timeout=30, trust_env=False)
    except httpx.TransportError:
        return None
    return BundleStatus.model_validate(answer.json())


def experiments_with(settings: Settings, model: str, version: str) -> list[str]:
    """The running experiments that send requests to this version, or fall back to it; none known without control."""
    keys = Keys.read(settings)
    if keys is None:
        return []
    url = f"http://{LOOPBACK}:{settings.control_port}/v1/experiments"
    try:
        answer = httpx.get(url, headers={"Authorization": f"Bearer {keys.management}"}, timeout=30, trust_env=False)
    except httpx.TransportError:
        return []
    found = answer.json() if answer.is_success else []
    return [
        each["experiment"]
        for each in found
        for variant in each["variants"]
        if variant["name"] == f"{model}@{version}" and (variant["weight"] or variant["role"] == "control")
    ]


def running(settings: Settings) -> None:
    """Raises MarinaError if there is no bundle to talk to."""
    if supervise.process(settings) is None:
        raise MarinaError("nothing is running: `make serve` first")


def until(settings: Settings, doing: str, done: Callable[[BundleStatus], bool]) -> None:
    """Wait until `done`, with Envoy on the latest routes; `done` may raise. Raises MarinaError when time is out."""
    deadline = time.monotonic() + settings.start_timeout
    with console.status(doing):
        while time.monotonic() < deadline:
            current = status(settings)
            if current is not None and done(current) and current.envoy.ready:
                return
            time.sleep(0.2)
    raise MarinaError(f"{doing}: not done after {settings.start_timeout:g} s, see {settings.logs}")
