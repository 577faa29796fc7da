"""`marina bench` and `marina load-test`: how fast the bundle is."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from marina.cli import selection
from marina.errors import MarinaError
from marina.settings import ROOT, Settings


def bench(
    name: Annotated[
        str, typer.Argument(help="fleet, training, int8, mirror, keys, streaming, peers (installed); none: all others")
    ] = "",
    arguments: Annotated[list[str] | None, typer.Argument(help="passed on")] = None,
) -> None:
    """Measure against other servers, as ratios. Runs in a checkout of Marina."""
    module = f"benchmarks.{name}" if name else "benchmarks"
    if not (ROOT / "benchmarks").is_dir():
        raise MarinaError("the benchmarks are part of the source repository, not of the package: clone it")
    raise typer.Exit(
        subprocess.run([sys.executable, "-m", module, *(arguments or [])], cwd=ROOT, check=False).returncode
    )


def load_test(
    names: Annotated[list[str] | None, typer.Argument(help="models", show_default="starter")] = None,
    users: Annotated[int, typer.Option(help="concurrent users")] = 20,
    rate: Annotated[float, typer.Option(help="users started per second")] = 5,
    time: Annotated[str, typer.Option(help="duration, such as 30s or 5m")] = "30s",
) -> None:
    """Run locust against the bundle, without its page; the report is saved under var/reports/."""
    settings = Settings()
    locustfile = ROOT / "locustfile.py"
    locust = Path(sys.executable).with_name("locust")
    if not locust.is_file() or not locustfile.is_file():
        raise MarinaError("the load test needs locust and a checkout of Marina: `make install`")
    report = settings.var / "reports" / "load-test"
    report.parent.mkdir(parents=True, exist_ok=True)
    chosen = selection.select(names or [selection.STARTER])
    flags = {"--users": users, "--spawn-rate": rate, "--run-time": time, "--html": f"{report}.html", "--csv": report}
    command = [str(locust), "--headless", "--only-summary", "--locustfile", str(locustfile)]
    command += [str(word) for pair in flags.items() for word in pair]
    # Some shells export HOST, the name of the machine: only a URL is an entry that the user chose.
    host = os.environ.get("HOST", "")
    environment = {**os.environ, "MODELS": " ".join(chosen), "HOST": host if "://" in host else settings.url}
    raise typer.Exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)
