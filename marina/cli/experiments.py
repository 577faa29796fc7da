"""`marina ab`: experiments, through the API of the running bundle."""

import getpass
import sys
from pathlib import Path
from socket import gethostname
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from marina.cli import bundle_client
from marina.errors import MarinaError
from marina.experiments import spec
from marina.serving.torchserve.client import Keys
from marina.settings import Settings, editable
from marina.terminal import printable

FILE = editable("experiments.yaml")
WIDE = 140  # characters, where the table goes into a file or a pipe
TIMEOUT = 120.0  # seconds: creation waits for canaries

app = typer.Typer(help="Run A/B experiments: split traffic between versions, and compare them.", no_args_is_help=True)
console = Console(highlight=False, soft_wrap=True)

Name = Annotated[str, typer.Argument(help="of the experiment")]
Why = Annotated[str, typer.Option(help="kept in the history")]


def call(method: str, path: str = "", **order: Any) -> httpx.Response:
    """Send a request to control; raise MarinaError with its message."""
    settings = Settings()
    keys = Keys.read(settings)
    if keys is None:
        raise MarinaError("nothing is running: `make serve` first")
    who = {"who": f"{getpass.getuser()}@{gethostname()}"} if method != "GET" else {}
    try:
        with bundle_client.control(settings, TIMEOUT) as client:
            response = client.request(
                method,
                f"/v1/experiments{path}",
                json={**who, **order} or None,
                headers={"Authorization": f"Bearer {keys.management}"},
            )
    except httpx.TransportError as exc:
        raise MarinaError(f"control does not respond ({exc}): `make status`") from exc
    if response.is_error:
        raise MarinaError(response.json().get("message", response.text))
    return response


def changed(response: httpx.Response) -> None:
    """Print the weights that Envoy applies now."""
    change = response.json()
    experiment = change["state"]["experiment"]
    shares = ", ".join(f"{it['model']}@{it['version']} {it['weight']:g} %" for it in experiment["variants"])
    text = f"{experiment['name']}: {change['what']} (change {change['id']}): {shares}, applied by Envoy"
    console.print(printable(text), markup=False)


@app.command()
def show(as_json: Annotated[bool, typer.Option("--json", help="print the API's JSON instead")] = False) -> None:
    """Show the experiments that run, with shares, errors, latencies and rewards."""
    if as_json:
        typer.echo(call("GET").text)
        return
    from marina.experiments.report.cli_table import table
    from marina.experiments.report.schema import Summary  # numpy and scipy: not for the other commands

    found = [Summary.model_validate(entry) for entry in call("GET").json()]
    if found:
        Console(width=None if sys.stdout.isatty() else WIDE).print(table(found))
    else:
        console.print("no experiment runs; `make ab-create EXP=` starts one of experiments.yaml")


@app.command()
def create(name: Name, why: Why = "", file: Annotated[Path, typer.Option(help="where it is described")] = FILE) -> None:
    """Start the experiment of that name in experiments.yaml."""
    found = spec.load(file)
    if name not in found:
        raise MarinaError(f"{file} has no experiment {name}; there are: {', '.join(found) or 'none'}")
    changed(call("POST", experiment=found[name].model_dump(mode="json"), why=why))
    settings = Settings()
    example = f"curl -i {settings.url}/predictions/{name} -H '{found[name].key_header}: somebody' ..."
    console.print(f"try it: {example}")


@app.command()
def weights(
    name: Name, shares: Annotated[str, typer.Argument(help='"resnet18@1.0=80 mobilenet_v1@1.0=20"')], why: Why = ""
) -> None:
    """Move the weights (percent); those not named get 0."""
    try:
        pairs = {variant: float(share) for variant, share in (pair.rsplit("=", 1) for pair in shares.split())}
    except ValueError as exc:
        raise MarinaError(f'WEIGHTS="{shares}": it must be like "resnet18@1.0=80 mobilenet_v1@1.0=20"') from exc
    changed(call("PUT", f"/{name}/weights", weights=pairs, why=why))


@app.command()
def promote(name: Name, variant: str, why: Why = "") -> None:
    """Give everybody this variant."""
    changed(call("POST", f"/{name}/promote", variant=variant, why=why))


@app.command()
def rollback(name: Name, why: Why = "") -> None:
    """Restore exactly what was before the last change."""
    changed(call("POST", f"/{name}/rollback", why=why))


@app.command()
def mirror(name: Name, to: str, percent: float, why: Why = "") -> None:
    """Copy that many percent of the requests to a variant and compare its replies; 0 ends it."""
    changed(call("PUT", f"/{name}/mirror", mirror={"to": to, "percent": percent}, why=why))


@app.command()
def stop(name: Name, why: Why = "") -> None:
    """End it. Its history stays, and so does what `rollback` needs."""
    changed(call("POST", f"/{name}/stop", why=why))


@app.command()
def report(name: Name) -> None:
    """Save the page with plots and verdict under var/reports/."""
    file = Settings().var / "reports" / f"{name}.html"
    content = call("GET", f"/{name}/report").content
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    console.print(file)
