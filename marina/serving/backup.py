"""Backups of a bundle: one tar file with its state, keys, experiments, enrolled faces, settings and archives.

A backup may be made while the bundle runs. It holds private keys, so only its owner may read it. A shared PostgreSQL
database is left to pg_dump.
"""

import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from marina.errors import MarinaError
from marina.settings import Settings

# Files and folders of `var` that no command can make again.
KEPT = ("state", "keys", "tls", "gallery", "exposures", "experiments.json")
DATABASE = "experiments.db"
MANIFEST = "backup.json"  # SHA-256 by name of every other member
SKIPPED_SUFFIXES = (".lock", ".damaged")


def create(settings: Settings, file: Path, archives: bool) -> list[str]:
    """Write the backup to `file`, without the archives of the store unless `archives`; return its members' names.

    Raises MarinaError if `file` exists: a backup is never overwritten.
    """
    if file.exists():
        raise MarinaError(f"{file} exists: give another name")
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as folder:
        snapshot = _snapshot(settings, Path(folder))
        members = {**_members(settings, archives), **({f"var/{DATABASE}": snapshot} if snapshot else {})}
        partial = Path(folder) / "partial"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as raw:
            _write(raw, members)
        partial.rename(file)
    return list(members)


def restore(settings: Settings, file: Path) -> Path | None:
    """Put the files of a backup in their places. Files that are there and differ are moved aside, into the folder that
    is returned; None if there were none.

    Raises MarinaError, before anything is changed, for a file that is no backup or was changed.
    """
    places = {"var": settings.var, "store": settings.store, "settings": settings.config.parent}
    aside = settings.var / f"replaced-{time.strftime('%Y%m%dT%H%M%S')}"
    for folder in (settings.var, settings.store):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=settings.var, prefix=".restore-") as extracted:
        names = _extract(file, Path(extracted))
        for name in names:
            top, _, rest = name.partition("/")
            _replace(Path(extracted) / name, places[top] / rest, aside / name)
    if any(name == f"var/{DATABASE}" for name in names):  # pages of the database that was moved aside
        for suffix in ("-wal", "-shm"):
            (settings.var / f"{DATABASE}{suffix}").unlink(missing_ok=True)
    return aside if aside.exists() else None


def _members(settings: Settings, archives: bool) -> dict[str, Path]:
    """Return each file of the backup by its name in it, the database left out."""
    found: dict[str, Path] = {}
    for part in KEPT:
        for path in _files(settings.var / part):
            found[f"var/{path.relative_to(settings.var)}"] = path
    if settings.config.is_file():
        found[f"settings/{settings.config.name}"] = settings.config
    experiments = settings.config.with_name("experiments.yaml")
    if experiments.is_file():
        found[f"settings/{experiments.name}"] = experiments
    if archives:
        found |= {f"store/{path.name}": path for path in _files(settings.store) if ".mar" in path.suffixes}
    return found


def _files(path: Path) -> Iterator[Path]:
    """Yield the file itself, or the files of a folder; links are left out, they may lead anywhere."""
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if each.is_file() and not each.is_symlink() and each.suffix not in SKIPPED_SUFFIXES:
            yield each


def _snapshot(settings: Settings, folder: Path) -> Path | None:
    """Copy the SQLite database as of one moment, while others write to it; None if there is none."""
    source = settings.var / DATABASE
    if settings.database or not source.is_file():
        return None
    copy = folder / DATABASE
    with closing(sqlite3.connect(source)) as reading, closing(sqlite3.connect(copy)) as writing:
        reading.backup(writing)
    return copy


def _write(raw: io.BufferedWriter, members: dict[str, Path]) -> None:
    digests = {}
    with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as tar:
        for name, path in members.items():
            content = path.read_bytes()  # at once: the digest is of the bytes in the backup, whatever changes meanwhile
            digests[name] = hashlib.sha256(content).hexdigest()
            _add(tar, name, content)
        _add(tar, MANIFEST, json.dumps(digests, indent=1).encode())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), 0o600, int(time.time())
    tar.addfile(info, io.BytesIO(content))


def _extract(file: Path, folder: Path) -> list[str]:
    """Extract a backup whose members all match its manifest; return their names."""
    try:
        with tarfile.open(file, "r:gz") as tar:
            tar.extractall(folder, filter="data")
        digests: dict[str, str] = json.loads((folder / MANIFEST).read_bytes())
    except (tarfile.TarError, OSError, EOFError, ValueError) as exc:
        raise MarinaError(f"{file} is not a complete backup ({exc}); nothing was changed") from exc
    for name, digest in digests.items():
        path = folder / name
        if name.partition("/")[0] not in ("var", "store", "settings") or ".." in Path(name).parts:
            raise MarinaError(f"{file}: {name} belongs to no part of a bundle; nothing was changed")
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise MarinaError(f"{file}: {name} is damaged; nothing was changed")
    return list(digests)


def _replace(source: Path, target: Path, aside: Path) -> None:
    """Move `source` to `target`; what is there and differs is moved to `aside`."""
    if target.exists():
        if target.read_bytes() == source.read_bytes():
            return
        aside.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.rename(aside)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    source.rename(target)
