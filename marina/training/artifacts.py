"""Artifacts on disk, artifacts/<name>/<version>/: they appear whole or not at all."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

ARTIFACTS = Path("artifacts")
CARD = "card.json"
FINGERPRINT = "fingerprint"  # of the run whose checkpoints lie in the scratch folder
OPTIONS = "options.json"  # of that run: a later command without options continues it


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


def begin(scratch: Path, fingerprint: str) -> Path | None:
    """Make the scratch folder, or take back the one that a run with this fingerprint left.

    What a run with another recipe, network or data set left in it is moved aside if it has checkpoints, and deleted
    otherwise. Returns the folder to which it was moved.
    """
    moved = None
    left = _mark_of(scratch)
    if scratch.is_dir() and left != fingerprint:
        if left and any(scratch.rglob("checkpoints/*")):
            moved = _aside(scratch, left)
            shutil.rmtree(moved, ignore_errors=True)
            scratch.rename(moved)
        else:
            shutil.rmtree(scratch)
    mine = _aside(scratch, fingerprint)
    if not scratch.is_dir() and _mark_of(mine) == fingerprint:
        mine.rename(scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / FINGERPRINT).write_text(fingerprint, encoding="utf-8")
    return moved


def stopped(scratch: Path) -> dict[str, Any] | None:
    """Return the options of the run that left a scratch folder; None if there is none."""
    file = scratch / OPTIONS
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def abandon(scratch: Path) -> None:
    """Forget the options of a run that failed before its first checkpoint: they may be the reason."""
    if not any(scratch.rglob("checkpoints/*")):
        (scratch / OPTIONS).unlink(missing_ok=True)


def _mark_of(scratch: Path) -> str:
    """Return the fingerprint of the run that left a scratch folder; the empty string if there is none."""
    mark = scratch / FINGERPRINT
    return mark.read_text(encoding="utf-8") if mark.is_file() else ""


def _aside(scratch: Path, fingerprint: str) -> Path:
    """Return where the scratch folder of a run waits while another run has its place."""
    return scratch.with_name(f"{scratch.stem}.{fingerprint[-8:]}{scratch.suffix}")


def write_json(value: Any, file: Path) -> None:
    """Write `value` to a file beside `file`, then rename it, so that no reader sees half of it."""
    fresh = file.with_name(f".{file.name}")
    fresh.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    fresh.replace(file)


def finish(scratch: Path, folder: Path) -> None:
    """Replace the artifacts by the scratch folder, with a fresh time of card.json, which make compares."""
    (scratch / FINGERPRINT).unlink()
    (scratch / OPTIONS).unlink(missing_ok=True)
    for checkpoints in list(scratch.rglob("checkpoints")):
        shutil.rmtree(checkpoints)
    os.utime(scratch / CARD)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    scratch.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
