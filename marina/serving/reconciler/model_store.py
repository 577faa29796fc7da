"""The model store: archives by name and version, with their cards, configurations and example requests."""

import json
import os
import re
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

from marina.errors import MarinaError
from marina.packaging.verify import (
    TRUSTED,
    NotVerifiedError,
    identity,
    key_files,
    manifest_of,
    signature_of,
    verify,
)
from marina.settings import Settings


def version_key(version: str) -> tuple[Any, ...]:
    """Return a sort key of versions: by PEP 440 (1.10 after 1.9), and before them others (`v2-blue`), by their numbers.

    >>> sorted(["1.10", "1.9", "v2-blue"], key=version_key)
    ['v2-blue', '1.9', '1.10']
    """
    try:
        return (1, Version(version))
    except InvalidVersion:
        return (
            0,
            [(part.isdigit(), part.zfill(12) if part.isdigit() else part) for part in re.findall(r"\d+|\D+", version)],
        )


@dataclass(frozen=True)
class Archive:
    """One `<name>-<version>.mar` of the store. Nothing in it is executed here."""

    name: str
    version: str
    path: Path

    def verify(self, public_keys: Path) -> None:
        """Verify the signature by a key of `public_keys`, a file or folder, and that the archive can be read.

        Raises marina.packaging.verify.NotVerifiedError, which names the archive.
        """
        verify(self.path, public_keys)
        self.example()
        _ = self.config

    def written_at(self, public_keys: Path) -> float:
        """Return the last change of the archive, its signature and the keys: after it verification may succeed."""
        folders = (public_keys, public_keys / TRUSTED)
        files = (self.path, signature_of(self.path), *folders, *key_files(public_keys))
        return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)

    def read(self, member: str) -> bytes | None:
        """Return one file of the archive, None if it has no such file; raises NotVerifiedError if it is no archive."""
        try:
            with zipfile.ZipFile(self.path) as mar:
                return mar.read(member) if member in mar.namelist() else None
        except (zipfile.BadZipFile, OSError) as exc:
            raise NotVerifiedError(f"{self.path.name}: not a TorchServe archive ({exc})") from exc

    @cached_property
    def card(self) -> dict[str, Any] | None:
        """Content of card.json; None for a foreign archive. Raises NotVerifiedError if it can't be read."""
        text = self.read("card.json")
        return None if text is None else self._mapping("card.json", text, json.loads)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Content of model-config.yaml; empty if there is none. Raises NotVerifiedError if it can't be read."""
        name = manifest_of(self.path).get("configFile")
        return self._mapping(name, self.read(name) or b"{}", yaml.safe_load) if name else {}

    @property
    def workers(self) -> int:
        """Number of workers in the archive's configuration; one per core if its card has `cores`."""
        match self.card:
            case {"serving": {"workers": "cores"}}:
                return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, int(self.config.get("minWorkers", 1)))

    def example(self) -> tuple[bytes, str] | None:
        """Return body and content type of the card's example request, the canary; None if it has none."""
        match self.card:
            case {"example": {"file": str(file), "content_type": str(content_type)}}:
                body = self.read(file)
                return None if body is None else (body, content_type)
        return None

    def _mapping(self, member: str, text: bytes, parse: Callable[[bytes], Any]) -> dict[str, Any]:
        try:
            content = parse(text)
        except (ValueError, yaml.YAMLError) as exc:
            raise NotVerifiedError(f"{self.path.name}: {member} can't be read ({exc})") from exc
        if not isinstance(content, dict):
            raise NotVerifiedError(f"{self.path.name}: {member} is not a mapping")
        return content


def archives(store: Path) -> dict[str, list[Archive]]:
    """Return the archives of the store by model, oldest version first; files with other names are left out."""
    found: dict[str, list[Archive]] = {}
    for path in sorted(store.glob("*.mar")):
        try:
            name, version = identity(path)
        except NotVerifiedError:
            continue  # a file without name and version can't be served
        found.setdefault(name, []).append(Archive(name, version, path))
    for versions in found.values():
        versions.sort(key=lambda archive: version_key(archive.version))
    return found


def by_name(settings: Settings, models: Iterable[str] = ()) -> dict[str, list[Archive]]:
    """Return the archives of these models, or of every model; raises MarinaError if one has no archive."""
    found = archives(settings.store)
    names = list(models) or list(found)
    missing = [name for name in names if name not in found]
    if missing or not names:
        raise MarinaError(
            f"no archive of {', '.join(missing) or 'any model'} in {settings.store}: `make archive` first"
        )
    return {name: found[name] for name in names}


def find(settings: Settings, name: str, version: str | None) -> Archive:
    """Return that version of a model, or its newest; raises MarinaError if the store has none."""
    versions = archives(settings.store).get(name, [])
    match = [archive for archive in versions if version in {None, archive.version}]
    if not match:
        raise MarinaError(f"no archive {name}-{version or '<version>'}.mar in {settings.store}")
    return match[-1]
