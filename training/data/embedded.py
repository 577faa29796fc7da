"""Stand-ins: small data sets that installed packages ship, written once in the layout of the real thing."""

import json
import tempfile
from importlib import import_module
from pathlib import Path

from filelock import FileLock
from rich.console import Console

from training.data.checksum import FACTS, checksum

DATA = Path("data")


def stand_ins() -> list[str]:
    """The names of the stand-ins that can be written."""
    files = (Path(__file__).parent / "sources").glob("*.py")
    return sorted(file.stem for file in files if file.stem != "__init__")


def ensure(name: str) -> Path:
    """The folder data/<name>, with its stand-in if there was nothing yet.

    The stand-in appears whole or not at all: it is written beside the folder and then renamed. Of several processes
    that want it, one writes it and the others wait.
    """
    folder = DATA / name
    DATA.mkdir(exist_ok=True)
    with FileLock(DATA / f".{name}.lock"):
        if not (folder.is_dir() and any(folder.iterdir())):
            write(name, folder)
    return folder


def write(name: str, folder: Path) -> None:
    """Make the stand-in and say what it is."""
    source = import_module(f"training.data.sources.{name}")
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=DATA) as scratch:
        fresh = Path(scratch) / name
        fresh.mkdir()
        source.write(fresh)
        facts = {"origin": source.ORIGIN, "licence": source.LICENCE, "sha256": checksum(fresh)}
        (fresh / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")
        fresh.rename(folder)  # an empty folder gives way
    Console(soft_wrap=True).print(
        f"{folder}: {source.ORIGIN}\n  licence: {source.LICENCE}\n  sha256: {facts['sha256']}", highlight=False
    )
