"""TorchServe without Marina: with its defaults and own handlers, and tuned with a minimal handler."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import yaml
from safetensors.torch import load_file

from benchmarks import machine
from benchmarks.load.dialects import stock_torchserve
from benchmarks.load.wire import Target
from benchmarks.networks import ROOT, WEIGHTS
from benchmarks.processes import await_ready, free_ports, running
from benchmarks.workloads import Workload
from marina.serving.torchserve.process import java

HERE = Path(__file__).parent / "peers" / "torchserve"
BIN = Path(sys.executable).parent
ADDRESSES = ("inference_address", "management_address", "metrics_address")
GRPC_PORTS = ("grpc_inference_port", "grpc_management_port")


@dataclass(frozen=True)
class TorchServe:
    """TorchServe with its defaults, or with `config`, a model-config.yaml for the minimal handler."""

    config: Mapping[str, object] = field(default_factory=dict)

    @contextmanager
    def serving(self, workload: Workload) -> Iterator[Target]:
        """Serve the one model with a TorchServe in a folder of its own."""
        with TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            self.pack(workload, folder)
            ports = free_ports(len(ADDRESSES) + len(GRPC_PORTS))
            lines = [f"{key}=http://127.0.0.1:{port}" for key, port in zip(ADDRESSES, ports, strict=False)]
            lines += [f"{key}={port}" for key, port in zip(GRPC_PORTS, ports[len(ADDRESSES) :], strict=True)]
            (folder / "config.properties").write_text("\n".join(lines) + "\n")
            with running(self.command(workload), folder, self.environment(workload, folder)) as process:
                key = wait_for_key(folder, process)
                dialect = stock_torchserve(f"/predictions/{workload.name}")
                target = dialect.target(workload, ports[0], {"Authorization": f"Bearer {key}"})
                await_ready(process, folder, target, workload)
                yield target

    def command(self, workload: Workload) -> list[str | Path]:
        logging: list[str | Path] = ["--log-config", HERE / "log4j2.xml"] if self.config else []
        options: list[str | Path] = [
            "--start",
            "--foreground",
            "--ncs",
            "--model-store",
            ".",
            "--ts-config",
            "config.properties",
        ]
        return [BIN / "torchserve", *options, "--models", f"{workload.name}={workload.name}.mar", *logging]

    def environment(self, workload: Workload, folder: Path) -> dict[str, str]:
        """Return the environment; TEMP is its own, since two instances would share sockets there."""
        variables = {"JAVA_HOME": str(java().parents[1]), "TEMP": str(folder), "TMPDIR": str(folder)}
        variables |= {"LOG_LOCATION": str(folder), "PATH": f"{BIN}:{os.environ['PATH']}"}
        return variables | ({"PYTHONPATH": str(ROOT), "BENCH_WORKLOAD": workload.name} if self.config else {})

    def pack(self, workload: Workload, folder: Path) -> None:
        """Write <folder>/W1.mar or W2.mar."""
        words = {"--model-name": workload.name, "--version": "1.0", "--export-path": folder}
        if self.config:
            (folder / "model-config.yaml").write_text(yaml.safe_dump(dict(self.config)))
            words |= {"--handler": HERE / "lean.py", "--config-file": folder / "model-config.yaml"}
        else:
            torch.save(load_file(WEIGHTS / f"{workload.name}.safetensors"), folder / "model.pt")
            words |= {"--serialized-file": folder / "model.pt", "--model-file": HERE / f"{workload.name}.py"}
            words |= {"--handler": "image_classifier" if workload.name == "W1" else HERE / "table.py"}
            if workload.name == "W2":
                words["--extra-files"] = shutil.copy(WEIGHTS / "W2.json", folder / "scale.json")
        command = [str(word) for pair in words.items() for word in pair]
        variables = {**os.environ, "TMPDIR": str(folder)}
        subprocess.run([BIN / "torch-model-archiver", *command], check=True, env=variables, capture_output=True)


def wait_for_key(folder: Path, process: subprocess.Popen[bytes], seconds: float = 30) -> str:
    """Return the inference key, which TorchServe writes to its working directory when it starts."""
    for _ in range(int(seconds * 10)):
        try:
            return str(json.loads((folder / "key_file.json").read_text())["inference"]["key"])
        except (FileNotFoundError, ValueError):
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            break
    raise RuntimeError(f"TorchServe did not start: {(folder / 'server.log').read_text()[-1500:]}")


def tuned(batch: int) -> TorchServe:
    """Return TorchServe with the minimal handler; with a delay of 1 ms it batches requests that queued up meanwhile."""
    count = machine.cores()
    limits = {"responseTimeout": 60, "startupTimeout": 120}
    return TorchServe({"batchSize": batch, "maxBatchDelay": 1, "minWorkers": count, "maxWorkers": count, **limits})
