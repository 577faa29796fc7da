"""What the user asked for: var/run/models.json. Commands write it, control makes it true."""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from serving.errors import MarinaError
from serving.files import write_atomic
from serving.settings import Settings
from serving.store import Archive, version_key


class Version(BaseModel):
    """One version of a model: the archive's file name in the store, and how many workers it shall have."""

    archive: str
    workers: int = 1
    retiring: bool = False


class Model(BaseModel):
    """A model's versions, and the one that answers a request which names none."""

    default: str
    versions: dict[str, Version]


class Desired(BaseModel):
    """All models that are to be served, by name."""

    models: dict[str, Model] = {}

    def at(self, name: str, version: str) -> Version:
        """Raises MarinaError if that version is not being served."""
        model = self.models.get(name)
        if model is None:
            raise MarinaError(f"{name} is not served; it serves {', '.join(self.models) or 'nothing'}")
        if version not in model.versions or model.versions[version].retiring:
            raise MarinaError(f"{name} {version} is not served; its versions are {', '.join(model.versions)}")
        return model.versions[version]

    def add(self, archive: Archive, workers: int) -> None:
        """A first version becomes the default; a later one waits for `set-default`."""
        model = self.models.setdefault(archive.name, Model(default=archive.version, versions={}))
        model.versions[archive.version] = Version(archive=archive.path.name, workers=workers)

    def scale(self, name: str, version: str, workers: int) -> None:
        if workers < 0:
            raise MarinaError("the number of workers can't be negative")
        self.at(name, version).workers = workers

    def set_default(self, name: str, version: str) -> None:
        self.at(name, version)
        self.models[name].default = version

    def retire(self, name: str, version: str) -> None:
        """Raises MarinaError for the default version while there are others: which should take its place?"""
        self.at(name, version)
        others = [
            other for other, wanted in self.models[name].versions.items() if other != version and not wanted.retiring
        ]
        if others and self.models[name].default == version:
            newest = max(others, key=version_key)
            raise MarinaError(
                f"{name} {version} is the default: `make set-default MODEL={name} VERSION={newest}` first"
            )
        self.models[name].versions[version].retiring = True

    def drop(self, name: str, version: str) -> None:
        """Forget a version that was retired, and its model with the last of them."""
        self.models[name].versions.pop(version)
        if not self.models[name].versions:
            self.models.pop(name)


def file(settings: Settings) -> Path:
    return settings.run / "models.json"


def load(settings: Settings) -> Desired:
    """Nothing is asked for while there is no file."""
    path = file(settings)
    return Desired.model_validate_json(path.read_bytes()) if path.exists() else Desired()


def save(settings: Settings, desired: Desired) -> None:
    write_atomic(file(settings), desired.model_dump_json(indent=2) + "\n")


@contextmanager
def change(settings: Settings) -> Iterator[Desired]:
    """Load, let the caller change, save; one at a time over all processes. An exception saves nothing."""
    with (settings.run / "models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        desired = load(settings)
        yield desired
        save(settings, desired)


def of(archives: Iterable[Archive], refused: Iterable[Archive] = ()) -> Desired:
    """Every archive given, the newest that was not refused being its model's default."""
    desired, bad = Desired(), set(refused)
    for archive in archives:
        desired.add(archive, 1 if archive in bad else archive.workers)
        if archive not in bad:
            desired.models[archive.name].default = archive.version
    return desired
