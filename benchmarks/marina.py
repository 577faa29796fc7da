"""The Marina stack: both workloads packed by its archive step and served by a bundle of their own."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import machine
from benchmarks.load.dialects import plain
from benchmarks.load.wire import Target
from benchmarks.networks import ROOT, WEIGHTS
from benchmarks.processes import NotReadyError, free_ports
from benchmarks.workloads import Workload
from handlers import codecs
from handlers.codecs.image import ImageCodec
from handlers.codecs.tabular import TableCodec
from marina.serving.torchserve.client import Keys
from marina.settings import Settings
from models import housing_mlp

MODEL_FILE = Path(__file__).parent / "torchvision_resnet18.py"
SOURCES = ("marina", "handlers", "models")


@dataclass(frozen=True)
class Marina:
    """Marina on TorchServe's own port, or through Envoy as clients use it."""

    through_envoy: bool

    @contextmanager
    def serving(self, workload: Workload) -> Iterator[Target]:
        """Serve the one model in a bundle on free ports."""
        with TemporaryDirectory(prefix="bench-") as name, bundle(workload, Path(name)) as settings:
            keys = Keys.read(settings)
            if keys is None:
                raise NotReadyError("TorchServe has written no keys")
            dialect = plain(f"/predictions/{card_of(workload).name}")
            if self.through_envoy:
                yield dialect.target(workload, settings.port)
            else:
                key = {"Authorization": f"Bearer {keys.inference}"}
                yield dialect.target(workload, settings.inference_port, key)


@contextmanager
def bundle(workload: Workload, folder: Path) -> Iterator[Settings]:
    """Start everything that `make serve` does, with all files under `folder`."""
    fields = [name for name in Settings.model_fields if name == "port" or name.endswith("_port")]
    ports = dict(zip(fields, free_ports(len(fields)), strict=True))
    settings = Settings(var=folder / "var", store=folder / "store", **ports)  # type: ignore[arg-type]
    pack(workload, folder)
    environment = {**os.environ, **settings.environment()}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a terminated run must stop its servers
    try:
        call("marina", "serve", card_of(workload).name, environment=environment)
        # One worker per core, as in every stack.
        call("marina", "scale", card_of(workload).name, "1.0", str(machine.cores()), environment=environment)
        yield settings
    finally:
        call("marina", "stop", environment=environment)


def call(*words: str, environment: dict[str, str] | None = None, folder: Path = ROOT) -> None:
    """Run `python -m ...`. Raises NotReadyError with its output if it fails."""
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReadyError(f"{' '.join(words)}: {done.stdout[-1500:]}{done.stderr[-1500:]}")


def pack(workload: Workload, folder: Path) -> None:
    """Build the signed archive in <folder>/store from a copy of the sources: W1 is none of Marina's models."""
    sources, card = folder / "sources", card_of(workload)
    for name in SOURCES:
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("store", "__pycache__"))
    if workload.name == "W1":
        shutil.copy(MODEL_FILE, sources / "models")
    artifacts(workload, folder / "artifacts" / card.name / "1.0")
    options = {"artifacts": folder / "artifacts", "store": folder / "store", "keys": folder / "var" / "keys"}
    words = [word for option, path in options.items() for word in (f"--{option}", str(path))]
    call("marina", "pack", card.name, "--preset", "quick", *words, folder=sources)


def card_of(workload: Workload) -> Any:
    """Return the CARD of the workload's model."""
    if workload.name == "W2":
        return housing_mlp.CARD
    spec = importlib.util.spec_from_file_location(MODEL_FILE.stem, MODEL_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CARD


def artifacts(workload: Workload, folder: Path) -> None:
    """Write the artifacts that `make train` would write, with the benchmark's weights."""
    folder.mkdir(parents=True)
    card = card_of(workload)
    shutil.copy(WEIGHTS / f"{workload.name}.safetensors", folder / "model.safetensors")
    example = "example.jpg" if workload.name == "W1" else "example.json"
    (folder / example).write_bytes(workload.bodies[0])
    if workload.name == "W1":
        codecs.save(ImageCodec(**card.input), folder)
        (folder / "labels.json").write_text(json.dumps([str(number) for number in range(1000)]))
    else:
        scale = json.loads((WEIGHTS / "W2.json").read_text())
        target = ("target", scale["target_mean"], scale["target_std"])
        codecs.save(TableCodec([f"c{i}" for i in range(13)], scale["mean"], scale["std"], *target), folder)
    facts = {"name": card.name, "version": "1.0", "task": card.task, "preset": "quick", "network": {}, "metrics": {}}
    facts |= {"input": dict(card.input), "serving": asdict(card.serving), "floor": {}}
    facts["example"] = {"file": example, "content_type": workload.content_type, "reply": {}}
    (folder / "card.json").write_text(json.dumps(facts))
