"""Start, stop, and look at the bundle."""

import os
import time
from typing import Annotated

import typer
from rich.table import Table

from archive.verify import NotVerifiedError
from serving import bootstrap, desired, gateway, store, supervise, torchserve
from serving.commands import ask, checks, report
from serving.errors import MarinaError
from serving.settings import Settings
from serving.store import Archive


def _refused(settings: Settings, archives: list[Archive]) -> dict[Archive, str]:
    """The archives whose signature fails, and why."""
    refused = {}
    for archive in archives:
        try:
            archive.verify(settings.public_key)
        except NotVerifiedError as fault:
            refused[archive] = str(fault)
    return refused


def start(
    models: Annotated[list[str] | None, typer.Argument(help="names; default: every model of the store")] = None,
) -> None:
    """Serve every version of the models; return when each is READY and has answered a canary."""
    settings, since = Settings(), time.monotonic()
    checks.before_start(settings)
    archives = store.chosen(settings, models or ["all"])
    refused = _refused(settings, archives)
    for why in refused.values():
        ask.console.print(f"[red]refused[/]  {why}", soft_wrap=True)
    settings.make_folders()
    desired.save(settings, desired.of(archives, refused))
    torchserve.render(settings)
    bootstrap.render(settings)
    gateway.close(settings)
    supervise.start(settings)
    status = report.watch(settings)
    ask.console.print(report.table(settings, status))
    ask.console.print(report.cost(status, time.monotonic() - since), soft_wrap=True, highlight=False)
    faults = report.faults(status)
    if faults:
        raise MarinaError("not served:\n" + "\n".join(f"  {fault}" for fault in faults))
    report.print_curls(settings, status)


def stop() -> None:
    """Stop everything; no process is left."""
    settings = Settings()
    with ask.console.status("stopping"):
        stopped = supervise.stop(settings)
    ask.console.print("stopped" if stopped else "nothing was running")


def status() -> None:
    """The processes, and each model's readiness; exit code 1 if something is not ready."""
    settings = Settings()
    ask.running(settings)
    processes = Table("process", "state", "since")
    for name, entry in supervise.programs(settings).items():
        processes.add_row(name, entry["statename"], entry["description"])
    ask.console.print(processes)
    current = ask.status(settings)
    if current is None:
        raise MarinaError(f"control does not answer; see {settings.logs}")
    ask.console.print(report.table(settings, current))
    faults = [part.reason for part in (current.torchserve, current.envoy) if part.reason] + report.faults(current)
    if not current.ready:
        raise MarinaError("not ready:\n" + "\n".join(f"  {fault}" for fault in faults))


def logs() -> None:
    """Follow all logs; Ctrl-C ends it."""
    settings = Settings()
    files = [str(file) for file in sorted(settings.logs.glob("*")) if file.suffix in {".log", ".out", ".err"}]
    if not files:
        raise MarinaError(f"no logs in {settings.logs}: `make serve` first")
    os.execvp("tail", ["tail", "-n", "20", "-F", *files])  # noqa: S606, S607 - becomes the `tail` of this system
