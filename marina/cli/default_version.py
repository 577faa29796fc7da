"""The commands `marina set-default`, `rollback` and `defaults`: the version that serves /predictions/MODEL."""

import json
from typing import Annotated

import typer
from rich.table import Table

from marina.cli import bundle_client
from marina.cli.versions import served
from marina.errors import MarinaError
from marina.serving.reconciler import desired_state
from marina.settings import Settings
from marina.terminal import printable

Why = Annotated[str, typer.Option(help="kept in the history")]


def set_default(model: str, version: str, why: Why = "") -> None:
    """Route /predictions/MODEL to this version."""
    settings = Settings()
    _require_ready(settings, model, version)
    with desired_state.change(settings) as desired:
        desired.set_default(model, version, why)
    _wait(settings, model, version)


def rollback(model: str, why: Why = "") -> None:
    """Restore the previous default of a model; a second rollback goes further back."""
    settings = Settings()
    bundle_client.require_running(settings)
    version = desired_state.load(settings).previous_default(model).version
    _require_ready(settings, model, version)
    with desired_state.change(settings) as desired:
        if desired.previous_default(model).version != version:
            raise MarinaError(f"the default of {model} was changed just now: `make defaults MODEL={model}` shows it")
        desired.roll_back_default(model, why)
    _wait(settings, model, version)


def defaults(model: str, as_json: Annotated[bool, typer.Option("--json", help="print JSON instead")] = False) -> None:
    """Show each change of a model's default, the latest first: version, time, user, reason."""
    changes = desired_state.load(Settings()).defaults.get(model, [])[::-1]
    if as_json:
        typer.echo(json.dumps([change.model_dump() for change in changes], indent=1))
        return
    if not changes:
        raise MarinaError(f"no default of {model} was recorded: `make status` shows the models that are served")
    table = Table("version", "time", "change", "user", "reason")
    for change in changes:
        table.add_row(*map(printable, (change.version, change.at, change.what, change.who, change.why)))
    bundle_client.console.print(table)


def _require_ready(settings: Settings, model: str, version: str) -> None:
    bundle_client.require_running(settings)
    current = bundle_client.status(settings)
    if current is None or not served(current, model, version):
        raise MarinaError(f"{model} {version} is not ready, so it can't become the default; see `make status`")


def _wait(settings: Settings, model: str, version: str) -> None:
    bundle_client.wait_until(
        settings,
        f"making {version} the default of {model}",
        lambda now: now.models[model].default == version and now.models[model].ready,
    )
    bundle_client.console.print(f"{settings.url}/predictions/{model} is served by version {version}")
