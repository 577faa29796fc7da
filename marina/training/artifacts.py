"""Artifacts on disk, artifacts/<name>/<version>/: they appear whole or not at all."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

ARTIFACTS = Path("artifacts")
CARD = "card.json"
FINGERPRINT = "fingerprint"  # of the run whose checkpoints lie in the scratch folder


def folder_of(name: str, version: str) -> Path:
    """Return the folder of a model's finished artifacts."""
    return ARTIFACTS / name / version


def scratch_of(name: str, version: str) -> Path:
    """Return the folder in which artifacts are made. It remains when a run is stopped, and the next run resumes from
    it.
    """
    return ARTIFACTS / name / f".{version}.unfinished"


def finished(folder: Path) -> dict[str, Any] | None:
    """Return the card of finished artifacts; None if there are none."""
    file = folder / CARD
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def begin(scratch: Path, fingerprint: str) -> None:
    """Make the scratch folder; delete what a run with another recipe, network or data set left in it."""
    mark = scratch / FINGERPRINT
    if scratch.is_dir() and not (mark.is_file() and mark.read_text(encoding="utf-8") == fingerprint):
        shutil.rmtree(scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    mark.write_text(fingerprint, encoding="utf-8")


def write_json(value: Any, file: Path) -> None:
    """Write `value` to a file beside `file`, then rename it, so that no reader sees half of it."""
    fresh = file.with_name(f".{file.name}")
    fresh.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    fresh.replace(file)


def finish(scratch: Path, folder: Path) -> None:
    """Replace the artifacts by the scratch folder, with a fresh time of card.json, which make compares."""
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
