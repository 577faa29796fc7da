"""`python -m routing`: what `make ab` and `make ab-...` call. Control does the work; see control/experiments.py."""

import getpass
import sys
from pathlib import Path
from socket import gethostname
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from routing import experiments
from routing.experiments import ExperimentError
from serving.errors import MarinaError
from serving.management import Keys
from serving.settings import LOOPBACK, ROOT, Settings

FILE = ROOT / "routing" / "experiments.yaml"
WIDE = 140  # characters, where the table goes into a file or a pipe
TIMEOUT = 120.0  # seconds: creation waits for canaries

app = typer.Typer(
    help="Experiments: who is answered by which version, and which is better.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False, soft_wrap=True)

Name = Annotated[str, typer.Argument(help="of the experiment")]
Why = Annotated[str, typer.Option(help="kept in the history")]


def ask(method: str, path: str = "", **order: Any) -> httpx.Response:
    """Call control; raises MarinaError with its words."""
    settings = Settings()
    keys = Keys.read(settings)
    if keys is None:
        raise MarinaError("nothing is running: `make serve` first")
    who = {"who": f"{getpass.getuser()}@{gethostname()}"} if method != "GET" else {}
    try:
        answer = httpx.request(
            method,
            f"http://{LOOPBACK}:{settings.control_port}/v1/experiments{path}",
            json={**who, **order} or None,
            headers={"Authorization": f"Bearer {keys.management}"},
            timeout=TIMEOUT,
            trust_env=False,
        )
    except httpx.TransportError as fault:
        raise MarinaError(f"control does not answer ({fault}): `make status`") from fault
    if answer.is_error:
        raise MarinaError(answer.json().get("message", answer.text))
    return answer


def changed(answer: httpx.Response) -> None:
    """Print what Envoy does now."""
    change = answer.json()
    experiment = change["state"]["experiment"]
    shares = ", ".join(f"{it['model']}@{it['version']} {it['weight']:g} %" for it in experiment["variants"])
    console.print(f"{experiment['name']}: {change['what']} (change {change['id']}): {shares}, applied by Envoy")


@app.command()
def show() -> None:
    """The experiments that run, with shares, errors, latencies and rewards."""
    from routing.summary import Summary  # numpy and scipy: not for the other commands
    from routing.table import table

    found = [Summary.model_validate(entry) for entry in ask("GET").json()]
    if found:
        Console(width=None if sys.stdout.isatty() else WIDE).print(table(found))
    else:
        console.print("no experiment runs; `make ab-create EXP=` starts one of routing/experiments.yaml")


@app.command()
def create(name: Name, why: Why = "", file: Annotated[Path, typer.Option(help="where it is described")] = FILE) -> None:
    """Start the experiment of that name in routing/experiments.yaml."""
    found = experiments.load(file)
    if name not in found:
        raise MarinaError(f"{file} has no experiment {name}; there are: {', '.join(found) or 'none'}")
    changed(ask("POST", experiment=found[name].model_dump(mode="json"), why=why))
    settings = Settings()
    example = f"curl -i {settings.url}/predictions/{name} -H '{found[name].key_header}: somebody' ..."
    console.print(f"ask it: {example}")


@app.command()
def weights(
    name: Name, shares: Annotated[str, typer.Argument(help='"resnet18@1.0=80 mobilenet_v1@1.0=20"')], why: Why = ""
) -> None:
    """Move the weights (percent); those not named get 0."""
    try:
        pairs = {variant: float(share) for variant, share in (pair.rsplit("=", 1) for pair in shares.split())}
    except ValueError as fault:
        raise MarinaError(f'WEIGHTS="{shares}": it must be like "resnet18@1.0=80 mobilenet_v1@1.0=20"') from fault
    changed(ask("PUT", f"/{name}/weights", weights=pairs, why=why))


@app.command()
def promote(name: Name, variant: str, why: Why = "") -> None:
    """Give everybody this variant."""
    changed(ask("POST", f"/{name}/promote", variant=variant, why=why))


@app.command()
def rollback(name: Name, why: Why = "") -> None:
    """Restore exactly what was before the last change."""
    changed(ask("POST", f"/{name}/rollback", why=why))


@app.command()
def mirror(name: Name, to: str, percent: float, why: Why = "") -> None:
    """Copy that many percent of the requests to a variant and compare its replies; 0 ends it."""
    changed(ask("PUT", f"/{name}/mirror", mirror={"to": to, "percent": percent}, why=why))


@app.command()
def stop(name: Name, why: Why = "") -> None:
    """End it. Its history stays, and so does what `rollback` needs."""
    changed(ask("POST", f"/{name}/stop", why=why))


@app.command()
def report(name: Name) -> None:
    """Save the page with plots and verdict under var/reports/."""
    file = Settings().var / "reports" / f"{name}.html"
    content = ask("GET", f"/{name}/report").content
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    console.print(file)


def main() -> None:
    try:
        app()
    except (MarinaError, ExperimentError) as fault:
        Console(stderr=True).print(str(fault), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
