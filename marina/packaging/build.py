"""Building of archives: weights, card and code become archive/store/<name>-<version>.mar, signed."""

import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

import models
from marina import overrides
from marina.errors import PackagingError
from marina.handler_lookup import handler_class
from marina.packaging import floors, freshness, programs, records, reproducible
from marina.packaging.freshness import closure
from marina.packaging.imports import IMPORTED
from marina.packaging.quantization import QuantizationData
from marina.packaging.sign import place_signed
from marina.packaging.verify import archive_name
from marina.settings import ROOT

# What training writes and the handler reads, beside card.json; a task has those that it needs.
DATA_FILES = ("model.safetensors", "codec.json", "labels.json")


def build(
    name: str,
    version: str,
    artifacts: Path,
    store: Path,
    keys: Path,
    preset: str,
    floor: Mapping[str, float] | None = None,
    accept: bool = False,
    data: QuantizationData | None = None,
) -> Path:
    """Pack and sign the archive, and return its path.

    `floor` holds further floors, or other ones than the CARD's; with `accept`, a floor that is missed is recorded in
    the packed card. `data` are those of the weights, for int8. Raises PackagingError for a model that is missing or
    below its floor, or loses too much in int8.
    """
    weights, archive = artifacts / name / version, store / archive_name(name, version)
    card = checked_card(name, version, weights, preset, floor or {}, accept)
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store, prefix=f".{name}-") as folder:
        sources, made = stage(card, weights, Path(folder), data), Path(folder) / "made"
        records.write(Path(folder) / "content", card, sources)
        run_archiver(card, Path(folder), made)
        reproducible.rewrite(made / f"{name}.mar", made / archive.name, records.made_at(card))
        place_signed(made / archive.name, archive, keys)
    freshness.record(archive, [*sources, weights / "card.json"], ROOT)
    return archive


def checked_card(
    name: str, version: str, weights: Path, preset: str, floor: Mapping[str, float], accept: bool = False
) -> dict[str, Any]:
    """Return the card of trained weights that may be served; raise PackagingError if they may not.

    The paths of a user's data and checkpoint stay on this machine.
    """
    file = weights / "card.json"
    if not file.is_file():
        raise PackagingError(f"{name} {version} is not trained: make train MODEL={name} VERSION={version}")
    card: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if card["preset"] not in (preset, IMPORTED):
        words = f"MODEL={name} VERSION={version}"
        raise PackagingError(
            f"{name} {version} was trained with PRESET={card['preset']}: make archive {words} PRESET={card['preset']} "
            f"packs it as it is, make train {words} PRESET={preset} REPLACE=1 trains it again"
        )
    model = overrides.applied(models.find(name), card.get(overrides.OVERRIDES, {}))
    # How it is served, and its floor, may have changed since it was trained.
    packed = {**card, "serving": asdict(model.serving), **floors.checked(card, model, floor, accept)}
    for member in {"data", "checkpoint"} & card.keys():
        packed[member] = {name: value for name, value in card[member].items() if name != "path"}
    return packed


def stage(card: dict[str, Any], weights: Path, folder: Path, data: QuantizationData | None = None) -> list[Path]:
    """Lay out under `folder` what the archive holds: content/ and model-config.yaml. Returns the source files."""
    handler = Path("handlers", f"{card['task']}.py")
    sources = closure(handler, Path("models", f"{card['name']}.py"))
    content = folder / "content"
    # The handler's file is the archive's entry point, and a second copy inside the package would never be read.
    for source in (source for source in sources if source != handler):
        target = content / source
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, target)
    for file in (*DATA_FILES, card["example"]["file"]):
        if (weights / file).is_file():
            shutil.copy(weights / file, content / file)
    served = {**card, "api": api_of(card, weights), **programs.build(card, weights, content, data)}
    (content / "card.json").write_text(json.dumps(served, ensure_ascii=False, indent=1), encoding="utf-8")
    (folder / "model-config.yaml").write_text(yaml.safe_dump(model_config(card["serving"]), sort_keys=False))
    return sources


def api_of(card: dict[str, Any], weights: Path) -> dict[str, Any]:
    """Return the handler's schemas of requests and responses, with the card's example of both."""
    api, example = copy.deepcopy(handler_class(card["task"]).api_of(weights)), card["example"]
    if example["content_type"] == "application/json":
        body = (weights / example["file"]).read_text(encoding="utf-8")
        api["request"]["application/json"]["example"] = json.loads(body)
    return {**api, "reply": {**api["reply"], "example": example["reply"]}}


def model_config(serving: dict[str, Any]) -> dict[str, Any]:
    """Return TorchServe's settings for the model: https://pytorch.org/serve, "Configuration", "Model specific"."""
    # The number of cores is known where it is served (reconciler/model_store.py); a stock TorchServe starts with one.
    workers = 1 if serving["workers"] == "cores" else serving["workers"]
    return {
        "minWorkers": workers,
        "maxWorkers": workers,
        "batchSize": serving["batch_size"],
        "maxBatchDelay": serving["max_batch_delay"],
        "continuousBatching": serving["continuous_batching"],
        "responseTimeout": serving["response_timeout"],
        "startupTimeout": serving["startup_timeout"],
        "deviceType": "gpu",  # TorchServe uses the processor where it finds no GPU
    }


def run_archiver(card: dict[str, Any], folder: Path, made: Path) -> None:
    """Run torch-model-archiver, which deletes and reuses $TMPDIR/<name>, in a TMPDIR of its own."""
    for path in (made, folder / "tmp"):
        path.mkdir()
    archiver = Path(sys.executable).with_name("torch-model-archiver")
    arguments = {
        "--model-name": card["name"],
        "--version": card["version"],
        "--handler": str(ROOT / "handlers" / f"{card['task']}.py"),
        "--extra-files": str(folder / "content"),
        "--config-file": str(folder / "model-config.yaml"),
        "--export-path": str(made),
        "--archive-format": "zip-store",  # it is compressed when it is written again
    }
    command = [str(archiver), *(word for pair in arguments.items() for word in pair)]
    done = subprocess.run(
        command, env={**os.environ, "TMPDIR": str(folder / "tmp")}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PackagingError(f"torch-model-archiver failed for {card['name']}:\n{done.stderr}")
