"""artifacts/<name>/<version>/: whole or not there at all."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

ARTIFACTS = Path("artifacts")
CARD = "card.json"
FINGERPRINT = "fingerprint"  # of the run whose checkpoints lie in the scratch folder


def folder_of(name: str, version: str) -> Path:
    """Where the finished artifacts of a model are."""
    return ARTIFACTS / name / version


def scratch_of(name: str, version: str) -> Path:
    """Where they are made; it stays there when a run is stopped, and the next run goes on from it."""
    return ARTIFACTS / name / f".{version}.unfinished"


def finished(folder: Path) -> dict[str, Any] | None:
    """The card of finished artifacts; None if there are none."""
    file = folder / CARD
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def begin(scratch: Path, fingerprint: str) -> None:
    """Make the scratch folder; what another recipe, network or data set left there is thrown away."""
    mark = scratch / FINGERPRINT
    if scratch.is_dir() and not (mark.is_file() and mark.read_text(encoding="utf-8") == fingerprint):
        shutil.rmtree(scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    mark.write_text(fingerprint, encoding="utf-8")


def write_json(value: Any, file: Path) -> None:
    """Write it whole: to a file beside it, which then takes its place."""
    fresh = file.with_name(f".{file.name}")
    fresh.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    fresh.replace(file)


def finish(scratch: Path, folder: Path) -> None:
    """Let the scratch folder take the place of the artifacts, its card.json made anew so that make sees the time."""
    (scratch / FINGERPRINT).unlink()
    for checkpoints in list(scratch.rglob("checkpoints")):
        shutil.rmtree(checkpoints)
    os.utime(scratch / CARD)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    scratch.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
