"""Provenance of data sets: checksums, and stand-ins with their origin and licence.

A stand-in is a small data set, written once into data/<name> in the format of the public one, from data that installed
packages ship.
"""

import json
import tempfile
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Literal

from filelock import FileLock
from rich.console import Console

from marina.training.data.dataset import SOURCE_FILE
from marina.training.data.standins import stand_in

DATA_FOLDER = Path("data")

Kind = Literal["embedded", "real"]  # "embedded": a stand-in


def checksum(path: Path) -> str:
    """Return the sha256 over the names and bytes of all files at `path`, without hidden ones and SOURCE.json."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    total = sha256()
    for file in files:
        if file.name == SOURCE_FILE or file.name.startswith("."):
            continue
        with file.open("rb") as stream:
            content = file_digest(stream, "sha256").hexdigest()
        total.update(f"{file.relative_to(path).as_posix()} {content}\n".encode())
    return total.hexdigest()


def kind_of(folder: Path, digest: str) -> Kind:
    """Return "embedded" only if the files in `folder` are, byte for byte, those of the stand-in; otherwise "real".

    `digest` is the checksum of the folder.
    """
    source = folder / SOURCE_FILE
    if source.is_file() and json.loads(source.read_text(encoding="utf-8"))["sha256"] == digest:
        return "embedded"
    return "real"


def ensure_stand_in(name: str) -> Path:
    """Return the folder data/<name>; write the stand-in first if the folder is missing or empty.

    The write is atomic: a temporary folder beside it is renamed. Of several processes, one writes and the others wait.
    Raises KeyError if there is no such stand-in.
    """
    folder = DATA_FOLDER / name
    DATA_FOLDER.mkdir(exist_ok=True)
    with FileLock(DATA_FOLDER / f".{name}.lock"):
        if not (folder.is_dir() and any(folder.iterdir())):
            write_stand_in(name, folder)
    return folder


def write_stand_in(name: str, folder: Path) -> None:
    """Write the stand-in into `folder` with its SOURCE.json, and print its origin, licence and checksum."""
    source = stand_in(name)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=DATA_FOLDER) as scratch:
        fresh = Path(scratch) / name
        fresh.mkdir()
        source.write(fresh)
        facts = {"origin": source.origin, "licence": source.licence, "sha256": checksum(fresh)}
        (fresh / SOURCE_FILE).write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")
        fresh.rename(folder)  # replaces an empty folder
    Console(soft_wrap=True).print(
        f"{folder}: {source.origin}\n  licence: {source.licence}\n  sha256: {facts['sha256']}", highlight=False
    )
