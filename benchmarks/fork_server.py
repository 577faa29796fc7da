"""Start-up time and memory of many models, the starter archives under five names each, with and without fork server.

Seconds from `marina serve` until every model has answered its canary request, and the private memory of each worker,
its shim included. `python -m benchmarks.fork_server [--copies 5] [--only on|off]`; off takes some 15 GB.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

import models
from benchmarks import machine
from marina.packaging.sign import sign
from marina.serving import supervisor
from marina.serving.launch import worker_processes
from marina.settings import ROOT, Settings
from tests.serve.support.bundle import Bundle, bundle_in

MANIFEST = "MAR-INF/MANIFEST.json"
SWITCH = {"on": True, "off": False}


def rename(archive: Path, name: str, store: Path, keys: Path) -> None:
    """Copy an archive under another name: TorchServe and Marina read the manifest's, the handler the card's."""
    target = store / f"{name}-1.0.mar"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == MANIFEST:
                manifest = json.loads(content)
                manifest["model"]["modelName"] = name
                content = json.dumps(manifest).encode()
            new.writestr(entry, content, entry.compress_type, compresslevel=1)
    sign(target, keys)


def fill(bundle: Bundle, copies: int) -> int:
    """Fill the store with every starter archive under `copies` names each; return their number."""
    starters = [name for name in models.names() if models.find(name).starter]
    for name in starters:
        for copy in range(copies):
            archive = ROOT / "archive" / "store" / f"{name}-1.0.mar"
            rename(archive, f"{name}_{copy}", bundle.settings.store, bundle.keys)
    return len(starters) * copies


def start(bundle: Bundle, settings: Settings) -> float:
    """Start everything and print progress; return the seconds until all models are ready."""
    began = shown = time.monotonic()
    with (settings.var / "start.txt").open("w+") as output:
        command = [sys.executable, "-m", "marina", "serve"]
        environment = {**os.environ, **settings.environment()}
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            time.sleep(0.05)
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                print(f"    {shown - began:4.0f} s: {progress(bundle)}", flush=True)
        seconds = time.monotonic() - began
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"it did not start:\n{output.read()}")
    return seconds


def progress(bundle: Bundle) -> str:
    """Return the number of models that are not ready, from Envoy's routes: requests would slow the start down."""
    routes = bundle.settings.envoy / "rds.json"
    waiting = routes.read_text().count("is not ready") if routes.is_file() else "all"
    return f"{waiting} routes closed, {psutil.virtual_memory().available / 1e9:.1f} GB of memory left"


def memory(settings: Settings, count: int) -> dict[str, float]:
    """Return memory in MB. Private: what the end of a worker and its shim would free. Share: the total of all workers
    and the fork server, divided by the number of workers.
    """
    forks = [psutil.Process(pid) for pid in (supervisor.programs(settings).get("forks", {}).get("pid"),) if pid]
    used = [process.memory_full_info() for process in worker_processes(settings)]
    server = [process.memory_full_info() for process in forks]
    return {
        "private_mb": sum(each.uss for each in used) / count / 1e6,
        "share_mb": sum(each.pss for each in (*used, *server)) / count / 1e6,
        "server_mb": sum(each.pss for each in server) / 1e6,
    }


def measure(copies: int, fork: bool) -> dict[str, float]:
    """Start all models once, measure, and stop them."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        store = Path(folder) / "store"
        store.mkdir()
        with bundle_in(Path(folder), store) as bundle:
            settings = bundle.settings.model_copy(update={"fork": fork})
            bundle.settings.var.mkdir()
            count = fill(bundle, copies)
            print(f"{count} models, fork server {'on' if fork else 'off'}", flush=True)
            seconds = start(bundle, settings)
            found = {"workers": count, "seconds": seconds, **memory(settings, count)}
            supervisor.stop(settings)
    print("    " + ", ".join(f"{name} {value:.1f}" for name, value in found.items()), flush=True)
    return found


def table(results: dict[str, dict[str, float]]) -> str:
    """Format a line per measurement; the ratio is off to on."""
    rows = {
        "seconds to ready": "seconds",
        "private MB a worker": "private_mb",
        "MB a worker, all in": "share_mb",
        "MB of the fork server": "server_mb",
    }
    lines = [f"{'':24}" + "".join(f"{'fork ' + switch:>10}" for switch in results) + f"{'ratio':>8}"]
    for title, key in rows.items():
        values = [result[key] for result in results.values()]
        ratio = f"{values[1] / values[0]:8.1f}" if len(values) == 2 and key != "server_mb" else ""
        lines.append(f"{title:24}" + "".join(f"{value:10.1f}" for value in values) + ratio)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=5, help="names of each archive")
    parser.add_argument("--only", choices=list(SWITCH), help="measure one side")
    options = parser.parse_args()
    facts: dict[str, Any] = machine.facts()
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gb']} GB, {facts['versions']}")
    sides = [options.only] if options.only else list(SWITCH)
    results = {side: measure(options.copies, SWITCH[side]) for side in sides}
    print(table(results))
    report = ROOT / "var" / "reports" / "fleet.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    report.write_text(json.dumps({"at": at, "machine": facts, "fork": results}, indent=1) + "\n")
    print(f"written to {report.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
