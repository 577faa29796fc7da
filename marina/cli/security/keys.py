"""`marina key`: create, list and revoke access keys."""

import getpass
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from marina import instance
from marina.errors import AccessKeyError
from marina.security import access_keys, scopes
from marina.security.access_keys import AccessKey, SigningKey
from marina.settings import Settings

if TYPE_CHECKING:
    from marina.security.key_registry import KeyRegistry

app = typer.Typer(help="Create, list and revoke the access keys that requests need.", no_args_is_help=True)
console = Console(highlight=False, soft_wrap=True)
hints = Console(stderr=True, highlight=False, soft_wrap=True)


def _registry(settings: Settings) -> "KeyRegistry":
    from marina.security.key_registry import KeyRegistry  # SQLAlchemy takes half a second to import

    return KeyRegistry(settings)


def _publish(settings: Settings, registry: "KeyRegistry") -> None:
    """Let a running bundle follow at once; control would within a second."""
    from marina.serving.envoy import gateway

    if settings.keys_required and instance.process(settings.run):
        gateway.publish_keys(settings, registry.active())


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


@app.command()
def create(
    scope: Annotated[
        list[str] | None, typer.Option(help="comma-separated: predict, predict:MODEL, feedback, ...")
    ] = None,
    role: Annotated[str, typer.Option(help="reader, operator or admin, instead of scopes")] = "",
    rate: Annotated[int | None, typer.Option(help="requests per second", show_default="no limit")] = None,
    burst: Annotated[
        int | None, typer.Option(help="requests that may come at once", show_default="40 ms of RATE")
    ] = None,
    expires: Annotated[str, typer.Option(help="after 90d, 12h, 30m")] = "90d",
    name: Annotated[str, typer.Option(help="of the holder, for the audit log", show_default="your user name")] = "",
) -> None:
    """Create a key and print it, once: it is stored nowhere. Requests send it as `Authorization: Bearer KEY`."""
    if role and role not in scopes.ROLES:
        raise AccessKeyError(f"{role} is no role: give one of {', '.join(scopes.ROLES)}")
    chosen = scopes.parse([*(scope or ()), *scopes.ROLES.get(role, ())])
    settings = Settings()
    seconds = access_keys.seconds_of(expires)
    signing = SigningKey(settings.keys)
    key = access_keys.new_key(signing.public, name or getpass.getuser(), chosen, seconds, rate, burst, time.time())
    registry = _registry(settings)
    registry.add(key)
    _publish(settings, registry)
    hints.print(f"key {key.id} of {key.name}: {', '.join(key.scopes)}; {_limit(key)}; until {_date(key.expires)}")
    hints.print("it is shown once; `marina predict` and others read it from MARINA_API_KEY:")
    sys.stdout.write(signing.token(key) + "\n")


def _limit(key: AccessKey) -> str:
    return "no limit" if key.rate is None else f"{key.rate} requests per second, {key.burst} at once"


@app.command("list")
def list_() -> None:
    """List every key: who holds it, what it allows, and until when."""
    now = time.time()
    table = Table("id", "name", "state", "scopes", "limit", "created", "expires")
    for key in _registry(Settings()).all():
        words = (key.id, key.name, key.state(now), ", ".join(key.scopes), _limit(key), _date(key.created))
        table.add_row(*words, _date(key.expires))
    if table.row_count:
        Console(width=None if sys.stdout.isatty() else 200).print(table)
    else:
        console.print("there is no key: `marina key create --scope predict`")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="of `marina key list`")]) -> None:
    """Revoke a key, for good: every node refuses it within two seconds."""
    settings = Settings()
    registry = _registry(settings)
    key = registry.revoke(key_id)
    _publish(settings, registry)
    console.print(f"key {key.id} of {key.name} is revoked")
