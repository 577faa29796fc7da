"""Output about the models: progress while they load, the table, curl commands to paste."""

import contextlib
import time

import psutil
from rich.live import Live
from rich.table import Column, Table

from marina.cli import bundle_client
from marina.errors import MarinaError
from marina.serving import supervisor
from marina.serving.reconciler.model_store import Archive
from marina.serving.reconciler.status import BundleStatus
from marina.settings import Settings
from marina.terminal import printable

COLOURS = {"ready": "green", "failed": "red", "refused": "red"}
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "application/json": "json", "text/plain": "txt"}


def problems(status: BundleStatus) -> list[str]:
    """Return a line for each version that is not ready."""
    return [
        printable(f"{name} {version}: {it.reason}")
        for name, model in status.models.items()
        for version, it in model.versions.items()
        if not it.ready and it.state != "stopped"
    ]


def table(settings: Settings, status: BundleStatus) -> Table:
    shown = Table("model", "version", "state", "workers", Column("URL", overflow="fold"))
    for name, model in status.models.items():
        for version, it in model.versions.items():
            ready = sum(worker.status == "READY" for worker in it.workers)
            default = version == model.default
            shown.add_row(
                name,
                version + (" (default)" if default and len(model.versions) > 1 else ""),
                f"[{COLOURS.get(it.state, 'yellow')}]{it.state}[/]",
                f"{ready} of {len(it.workers)}",
                f"{settings.url}/predictions/{name}" + ("" if default else f"/{version}"),
            )
    return shown


def cost(status: BundleStatus, seconds: float) -> str:
    """Return how many are ready after how long, and the mean memory of a worker that it shares with no other (USS)."""
    versions = [it for model in status.models.values() for it in model.versions.values()]
    own = []
    for worker in (worker for it in versions for worker in it.workers):
        with contextlib.suppress(psutil.Error):  # of another user, or gone
            own.append(psutil.Process(worker.pid).memory_full_info().uss / 1e6)
    memory = f"; each worker has {sum(own) / len(own):.0f} MB to itself, the largest {max(own):.0f}" if own else ""
    return f"{sum(it.ready for it in versions)} of {len(versions)} ready after {seconds:.1f} s{memory}"


def settled(status: BundleStatus) -> bool:
    """Check whether waiting longer would change nothing."""
    states = {it.state for model in status.models.values() for it in model.versions.values()}
    return status.torchserve.ready and status.envoy.ready and states <= {"ready", "failed", "refused", "stopped"}


def watch(settings: Settings) -> BundleStatus:
    """Show progress until every model is ready or has failed.

    Raises MarinaError after `settings.start_timeout` seconds.
    """
    deadline = time.monotonic() + settings.start_timeout
    with Live(console=bundle_client.console, transient=True) as live:
        while time.monotonic() < deadline:
            status = bundle_client.status(settings)
            if status is not None:
                live.update(table(settings, status))
                if settled(status):
                    return status
            if supervisor.process(settings) is None:
                raise MarinaError(f"the supervisor is gone; see {settings.logs}")
            time.sleep(settings.poll_seconds)
    raise MarinaError(f"not ready after {settings.start_timeout:g} s; see `make status` and {settings.logs}")


def print_curls(settings: Settings, status: BundleStatus) -> None:
    """Print two commands to paste: a prediction of the first model that has an example, and the readiness."""
    insecure = "-k " if settings.cert else ""
    key = f' -H "Authorization: Bearer ${bundle_client.API_KEY}"' if settings.keys_required else ""
    for name, model in status.models.items():
        example = Archive(name, model.default, settings.verified / f"{name}-{model.default}.mar").example()
        if example is None:
            continue
        body, kind = example
        file = settings.run / f"{name}.{EXTENSIONS.get(kind, 'bin')}"
        file.write_bytes(body)
        bundle_client.console.print(
            f"curl {insecure}{settings.url}/predictions/{name} -H 'Content-Type: {kind}'{key} --data-binary @{file}",
            soft_wrap=True,
            highlight=False,
        )
        break
    bundle_client.console.print(f"curl {insecure}{settings.url}/ready", highlight=False)
