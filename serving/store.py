"""The archives of the store, and what they say of themselves."""

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

from archive.verify import NotVerifiedError, identity, manifest_of, signature_of, verify
from serving.errors import MarinaError
from serving.settings import Settings


def version_key(version: str) -> tuple[Any, ...]:
    """Sorts versions by PEP 440 (1.10 after 1.9); others, such as `v2-blue`, come before, by their numbers."""
    try:
        return (1, Version(version))
    except InvalidVersion:
        return (
            0,
            [(part.isdigit(), part.zfill(12) if part.isdigit() else part) for part in re.findall(r"\d+|\D+", version)],
        )


@dataclass(frozen=True)
class Archive:
    """One `<name>-<version>.mar` of the store; nothing in it is executed."""

    name: str
    version: str
    path: Path

    def verify(self, public_key: Path) -> None:
        """Raises archive.verify.NotVerifiedError, naming the archive, unless it is what was signed and can be read."""
        verify(self.path, public_key)
        self.example()
        _ = self.config

    def written_at(self, public_key: Path) -> float:
        """When anything that the signature depends on was last written: what was refused may pass after that."""
        files = (self.path, signature_of(self.path), public_key)
        return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)

    def read(self, member: str) -> bytes | None:
        """One file of the archive, None if it has no such file; raises NotVerifiedError for what is no archive."""
        try:
            with zipfile.ZipFile(self.path) as mar:
                return mar.read(member) if member in mar.namelist() else None
        except (zipfile.BadZipFile, OSError) as fault:
            raise NotVerifiedError(f"{self.path.name}: not a TorchServe archive ({fault})") from fault

    @cached_property
    def card(self) -> dict[str, Any] | None:
        """card.json; None for a foreign archive. Raises NotVerifiedError if it can't be read."""
        text = self.read("card.json")
        return None if text is None else self._mapping("card.json", text, json.loads)

    @cached_property
    def config(self) -> dict[str, Any]:
        """model-config.yaml; empty for an archive without one. Raises NotVerifiedError if it can't be read."""
        name = manifest_of(self.path).get("configFile")
        return self._mapping(name, self.read(name) or b"{}", yaml.safe_load) if name else {}

    @property
    def workers(self) -> int:
        """How many workers the archive asks for; its card may want one a core."""
        match self.card:
            case {"serving": {"workers": "cores"}}:
                return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, int(self.config.get("minWorkers", 1)))

    def example(self) -> tuple[bytes, str] | None:
        """Body and content type of the request that the card gives as its example, the canary."""
        match self.card:
            case {"example": {"file": str(file), "content_type": str(content_type)}}:
                body = self.read(file)
                return None if body is None else (body, content_type)
        return None

    def _mapping(self, member: str, text: bytes, parse: Callable[[bytes], Any]) -> dict[str, Any]:
        try:
            content = parse(text)
        except (ValueError, yaml.YAMLError) as fault:
            raise NotVerifiedError(f"{self.path.name}: {member} can't be read ({fault})") from fault
        if not isinstance(content, dict):
            raise NotVerifiedError(f"{self.path.name}: {member} is not a mapping")
        return content


def archives(store: Path) -> dict[str, list[Archive]]:
    """Every archive of the store by model, oldest version first; files of another form are left out."""
    found: dict[str, list[Archive]] = {}
    for path in sorted(store.glob("*.mar")):
        try:
            name, version = identity(path)
        except NotVerifiedError:
            continue  # not ours to serve: nobody can ask for it by name and version
        found.setdefault(name, []).append(Archive(name, version, path))
    for versions in found.values():
        versions.sort(key=lambda archive: version_key(archive.version))
    return found


def chosen(settings: Settings, models: Iterable[str]) -> list[Archive]:
    """Every version of the models asked for (`all`: of every model); raises MarinaError if one has no archive."""
    found = archives(settings.store)
    names = list(dict.fromkeys(models))
    if names == ["all"]:
        names = list(found)
    missing = [name for name in names if name not in found]
    if missing or not names:
        raise MarinaError(
            f"no archive of {', '.join(missing) or 'any model'} in {settings.store}: `make archive` first"
        )
    return [archive for name in names for archive in found[name]]


def find(settings: Settings, name: str, version: str | None) -> Archive:
    """That version of a model, or its newest; raises MarinaError if the store has none."""
    versions = archives(settings.store).get(name, [])
    match = [archive for archive in versions if version in {None, archive.version}]
    if not match:
        raise MarinaError(f"no archive {name}-{version or '<version>'}.mar in {settings.store}")
    return match[-1]
