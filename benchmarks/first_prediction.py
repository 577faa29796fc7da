"""Time from a fresh clone to the first prediction, with the packages installed and bfloat16 switched off.

`python -m benchmarks.first_prediction` clones the last commit, runs `make archive`, `make serve` and `curl -T cat.png`
in it, and prints the seconds and the response. Processor time divided by the number of cores is the wall time of a
machine that does nothing else. `--with-bfloat16` leaves it on.
"""

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import machine
from marina.files import package_folder
from marina.settings import ROOT, Settings
from tests.serve.support.bundle import free_ports

MODEL = "efficientnet_lite0"
WITHOUT_BFLOAT16 = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
INSTALLED = ("pyproject.toml", "requirements/*.lock")  # make installs again where these are newer than the packages


@dataclass(frozen=True)
class Cost:
    """Wall time and processor time of a command, in seconds, with what it left running."""

    command: str
    wall: float
    processor: float

    def __str__(self) -> str:
        share = self.processor / machine.cores()
        return f"{self.command:<14} {self.wall:6.0f} s wall, {self.processor:6.0f} s processor, {share:6.0f} s a core"


def clone(folder: Path) -> Path:
    """Clone the last commit into `folder`, its packages installed as here; return the checkout."""
    checkout = folder / "marina"
    command = ["git", "clone", "--quiet", str(ROOT), str(checkout)]
    subprocess.run(command, check=True)
    for pattern in INSTALLED:
        for file in ROOT.glob(pattern):
            if (target := checkout / file.relative_to(ROOT)).is_file():
                shutil.copystat(file, target)
    return checkout


def environment(bfloat16: bool) -> dict[str, str]:
    """Return the environment of the commands: free ports, the packages of this checkout, no settings of its bundle."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MARINA_", "MAKE", "OMP_"))}
    names = list(Settings().ports)
    ports = {f"MARINA_{name.upper()}": str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    return {**kept, **ports, **({} if bfloat16 else WITHOUT_BFLOAT16), "VENV": str(ROOT / ".venv")}


def run(command: str, checkout: Path, variables: Mapping[str, str]) -> Cost:
    """Run a command of a user, its output shown, and return its cost. Raises CalledProcessError if it fails."""
    print(f"$ {command}", flush=True)
    began, before = time.monotonic(), processor_seconds(checkout)
    subprocess.run(command, shell=True, cwd=checkout, env=dict(variables), check=True)  # noqa: S602
    return Cost(command, time.monotonic() - began, processor_seconds(checkout) - before)


def processor_seconds(checkout: Path) -> float:
    """Return the processor time of all finished children, and of the bundle that runs in the checkout."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = used.ru_utime + used.ru_stime
    file = checkout / "var" / "run" / "supervisord.pid"
    if file.is_file() and psutil.pid_exists(int(file.read_text())):
        supervisor = psutil.Process(int(file.read_text()))
        for process in (supervisor, *supervisor.children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def archives(checkout: Path, began: float) -> list[str]:
    """Return the archives in the order in which they could be served, with the seconds until then."""
    signatures = sorted((file.stat().st_mtime, file.name) for file in (checkout / "archive" / "store").glob("*.sig"))
    return [f"{name.removesuffix('.mar.sig')} {signed - began:.0f} s" for signed, name in signatures]


def main() -> None:
    """Measure, and print the facts, the costs and the response."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--with-bfloat16", action="store_true")
    variables = environment(parser.parse_args().with_bfloat16)
    print(machine.facts(), f"load average {os.getloadavg()[0]:.1f}", WITHOUT_BFLOAT16.keys() & variables.keys())
    with tempfile.TemporaryDirectory(prefix="marina-") as folder:
        checkout = clone(Path(folder))
        shutil.copy(package_folder("skimage") / "data" / "chelsea.png", checkout / "cat.png")
        began = time.time()
        try:
            costs = [run(f"make {verb}", checkout, variables) for verb in ("archive", "serve")]
            curl = ["curl", "-sS", "-T", "cat.png", f"http://127.0.0.1:{variables['MARINA_PORT']}/predictions/{MODEL}"]
            response = subprocess.run(curl, cwd=checkout, capture_output=True, text=True, check=False)
        finally:
            run("make stop", checkout, variables)
        signed = archives(checkout, began)
    together = Cost("together", sum(cost.wall for cost in costs), sum(cost.processor for cost in costs))
    print(*costs, together, f"archives: {', '.join(signed)}", f"load average {os.getloadavg()[0]:.1f}", sep="\n")
    print(f"$ curl -T cat.png /predictions/{MODEL}\n{response.stdout or response.stderr}")


if __name__ == "__main__":
    main()
