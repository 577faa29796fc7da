"""`marina serve`, `stop`, `status` and `logs`."""

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from marina.cli import bundle_client, checks, output, selection
from marina.errors import MarinaError
from marina.files import PRIVATE_UMASK, make_private
from marina.packaging.adoption import adopt
from marina.packaging.verify import NotVerifiedError, identity
from marina.security import exposure
from marina.serving import supervisor
from marina.serving.envoy import bootstrap, gateway
from marina.serving.reconciler import desired_state, model_store, restore, verified_store
from marina.serving.reconciler.desired_state import DesiredState
from marina.serving.reconciler.model_store import Archive
from marina.serving.reconciler.restore import NamedModels
from marina.serving.torchserve import process
from marina.settings import Settings
from marina.terminal import printable


def _refused(settings: Settings, archives: list[Archive]) -> dict[Archive, str]:
    """Fill the verified store with these copies; return those whose signature is invalid, with the reason."""
    refused = {}
    for archive in archives:
        try:
            verified_store.admit(settings, replace(archive, path=settings.store / archive.path.name))
        except NotVerifiedError as exc:
            refused[archive] = str(exc)
    return refused


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="models, `starter`, or paths of archives", show_default="as before the stop"),
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="PEM file: HTTPS on the public port")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of the certificate's key")] = None,
    port: Annotated[
        int | None, typer.Option(help="public port; the others move by as much", show_default="8000")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="address of the public port", show_default="127.0.0.1, MARINA_HOST")
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file: the CA of the other nodes")] = None,
    access_keys: Annotated[
        bool | None,
        typer.Option("--keys/--no-keys", help="requests need an access key", show_default="not on loopback"),
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="open another address without keys and TLS", show_default=False)
    ] = None,
) -> None:
    """Serve models; return when each version is READY and has responded to a canary request.

    Without names the last desired state is restored: models, versions, workers, defaults. At the first start that is
    the whole store, with each model's newest version as its default. With names only these are served, and the others
    come back with the next `marina serve`. A version that is new in the store takes no traffic until `set-default`.

    The path of an archive means that you trust it: it is copied into the store and signed.
    Example: marina serve path/to/model.mar
    """
    since = time.monotonic()
    given: dict[str, Path | str | int | None] = {"cert": cert, "key": key, "ca": ca, "host": host}
    given |= {"access_keys": access_keys, "insecure": insecure}
    given |= {} if port is None else Settings.moved_ports(port, os.environ)
    settings = Settings.model_validate({name: value for name, value in given.items() if value is not None})
    exposure.check(settings)
    checks.before_start(settings)
    os.umask(PRIVATE_UMASK)
    settings.make_folders()
    make_private(settings.var)  # files of earlier versions
    desired = _restore(settings, _named(models, settings))
    process.render(settings)
    bootstrap.render(settings)
    gateway.close(settings, desired.closed_routes())
    active_keys = _publish_keys(settings)
    supervisor.start(settings)
    status = output.watch(settings)
    bundle_client.console.print(output.table(settings, status))
    bundle_client.console.print(output.cost(status, time.monotonic() - since), soft_wrap=True, highlight=False)
    problems = output.problems(status)
    if problems:
        raise MarinaError("not served:\n" + "\n".join(f"  {problem}" for problem in problems))
    output.print_curls(settings, status)
    for line in exposure.banner(settings, active_keys):
        bundle_client.console.print(line, soft_wrap=True, highlight=False)


def _publish_keys(settings: Settings) -> int:
    """Publish the active access keys before Envoy starts, if requests need one; return their number."""
    if not settings.keys_required:
        return 0
    from marina.security.key_registry import KeyRegistry  # SQLAlchemy takes half a second to import

    active = KeyRegistry(settings).active()
    gateway.publish_keys(settings, active)
    return len(active)


def _restore(settings: Settings, named: NamedModels) -> DesiredState:
    """Store the desired state to start with, and print what is refused, missing or new."""
    archives = {
        name: [verified_store.copy_of(settings, archive) for archive in versions]
        for name, versions in model_store.by_name(settings, named.models).items()
    }
    damage = desired_state.damage(settings)
    with desired_state.change(settings) as desired:
        found = [archive for versions in archives.values() for archive in versions]
        stored = restore.specified({**desired.models, **desired.paused}, settings.verified)
        candidates = found + [each for each in stored if each.name in (named.models or {each.name})]
        refused = _refused(settings, list(dict.fromkeys(candidates)))
        notes = restore.restore(desired, archives, refused, named)
        verified_store.keep_only(settings, desired.archives())
    lines = [f"[yellow]warning[/]  {damage}"] if damage else []
    lines += [
        f"[red]refused[/]  {refused[archive]}"
        for archive in restore.specified(desired.models, settings.verified)
        if archive in refused
    ]
    for line in (*lines, *restore.unavailable_defaults(desired, refused, settings.verified), *notes):
        bundle_client.console.print(line, soft_wrap=True, highlight=False)
    return desired


def _named(words: list[str] | None, settings: Settings) -> NamedModels:
    """Return the models and versions that names and paths stand for; `starter` stands for several, `all` for no limit.

    An archive that is named by its path is first copied into the store and signed.
    """
    names: list[str] = []
    versions: dict[str, str] = {}
    for word in words or []:
        if word.endswith(".mar"):
            archive = adopt(Path(word), settings.store, settings.keys)
            bundle_client.console.print(f"signed {archive}", soft_wrap=True)
            name, versions[name] = identity(archive)
            names.append(name)
        else:
            names += selection.select([word]) if word == selection.STARTER else [word]
    return NamedModels() if names == [selection.ALL] else NamedModels(tuple(dict.fromkeys(names)), versions)


def stop() -> None:
    """Stop everything; no process is left."""
    settings = Settings()
    with bundle_client.console.status("stopping"):
        stopped = supervisor.stop(settings)
    bundle_client.console.print("stopped" if stopped else "nothing was running")


def status(as_json: Annotated[bool, typer.Option("--json", help="print JSON instead")] = False) -> None:
    """Show the processes and each model's readiness; exits with 1 if something is not ready."""
    settings = Settings()
    bundle_client.require_running(settings)
    if not as_json:
        processes = Table("process", "state", "since")
        for name, entry in supervisor.programs(settings).items():
            processes.add_row(name, entry["statename"], entry["description"])
        bundle_client.console.print(processes)
    current = bundle_client.status(settings)
    if current is None:
        raise MarinaError(f"control does not respond; see {settings.logs}")
    if as_json:
        typer.echo(current.model_dump_json(indent=1))
    else:
        bundle_client.console.print(output.table(settings, current))
        for warning in current.warnings.values():
            bundle_client.console.print(f"[yellow]warning[/]  {warning}", soft_wrap=True, highlight=False)
    problems = [part.reason for part in (current.torchserve, current.envoy) if part.reason] + output.problems(current)
    if not current.ready:
        raise MarinaError("not ready:\n" + "\n".join(f"  {problem}" for problem in problems))


def logs() -> None:
    """Follow all logs; Ctrl-C ends it."""
    settings = Settings()
    files = [str(file) for file in sorted(settings.logs.glob("*")) if file.suffix in {".log", ".out", ".err"}]
    if not files:
        raise MarinaError(f"no logs in {settings.logs}: `make serve` first")
    tail = ["tail", "-n", "20", "-F", *files]
    with subprocess.Popen(tail, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stdout or ():  # clients and handlers wrote some of it
            print(printable(line), end="", flush=True)
