"""Record of the running instance: its supervisor, and the settings that `marina serve` was started with.

It lets later commands find the bundle without the ports and variables of its start. It counts only while the supervisor
runs, and `stop` removes it: the next start does not inherit a port that was given once.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from marina.files import write_atomic


def pid_file(run: Path) -> Path:
    """Return the file with supervisord's pid."""
    return run / "supervisord.pid"


def configuration(run: Path) -> Path:
    """Return supervisord's configuration file."""
    return run / "supervisord.conf"


def record_file(run: Path) -> Path:
    """Return the file with the settings of the instance; its database URL may hold a password."""
    return run / "instance.json"


def process(run: Path) -> psutil.Process | None:
    """Return the running supervisord of this instance, None if there is none."""
    try:
        found = psutil.Process(int(pid_file(run).read_text()))
        ours = str(configuration(run)) in found.cmdline()
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    return found if ours else None


def record(run: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings; only the owner may read them."""
    write_atomic(record_file(run), json.dumps(settings, indent=2) + "\n")


def recorded(run: Path) -> dict[str, Any]:
    """Return the settings of the running instance; empty if none runs, or if it belongs to another user."""
    try:
        content = json.loads(record_file(run).read_bytes()) if process(run) else {}
    except (OSError, ValueError, psutil.AccessDenied):
        return {}
    return content if isinstance(content, dict) else {}


def forget(run: Path) -> None:
    """Remove the record."""
    record_file(run).unlink(missing_ok=True)
