"""Client of a running bundle for the commands: its status, and waiting until a change has taken effect."""

import os
import time
from collections.abc import Callable

import httpx
from rich.console import Console

from marina.errors import MarinaError
from marina.serving import supervisor
from marina.serving.reconciler.status import BundleStatus
from marina.serving.torchserve.client import Keys
from marina.settings import Settings

console = Console()
API_KEY = "MARINA_API_KEY"  # variable of the access key that requests to the public port send


def authorization() -> dict[str, str]:
    """Return the header with the access key of MARINA_API_KEY; empty without one."""
    key = os.environ.get(API_KEY, "").strip()
    return {"Authorization": f"Bearer {key}"} if key else {}


def control(settings: Settings, timeout: float = 30) -> httpx.Client:
    """Return a client of control, which listens on a unix socket."""
    transport = httpx.HTTPTransport(uds=str(settings.control_socket))
    return httpx.Client(transport=transport, base_url="http://control", timeout=timeout, trust_env=False)


def status(settings: Settings) -> BundleStatus | None:
    """Return the response of control's /status; None while control does not respond."""
    try:
        with control(settings) as client:
            response = client.get("/status")
    except httpx.TransportError:
        return None
    return BundleStatus.model_validate(response.json())


def experiments_with(settings: Settings, model: str, version: str) -> list[str]:
    """Return the running experiments that route requests to this version, or fall back to it; none without control."""
    keys = Keys.read(settings)
    if keys is None:
        return []
    try:
        with control(settings) as client:
            response = client.get("/v1/experiments", headers={"Authorization": f"Bearer {keys.management}"})
    except httpx.TransportError:
        return []
    found = response.json() if response.is_success else []
    return [
        each["experiment"]
        for each in found
        for variant in each["variants"]
        if variant["name"] == f"{model}@{version}" and (variant["weight"] or variant["role"] == "control")
    ]


def require_running(settings: Settings) -> None:
    """Raise MarinaError if no bundle is running."""
    if supervisor.process(settings) is None:
        raise MarinaError("nothing is running: `make serve` first")


def wait_until(settings: Settings, doing: str, done: Callable[[BundleStatus], bool]) -> None:
    """Wait until `done` returns true and Envoy runs on the latest routes; `done` may raise.

    Raises MarinaError after `settings.start_timeout` seconds.
    """
    deadline = time.monotonic() + settings.start_timeout
    with console.status(doing):
        while time.monotonic() < deadline:
            current = status(settings)
            if current is not None and done(current) and current.envoy.ready:
                return
            time.sleep(0.2)
    raise MarinaError(f"{doing}: not done after {settings.start_timeout:g} s, see {settings.logs}")
