"""Desired state: the models, versions, defaults and workers that the user specified, in var/state/models.json.

Commands write it, and the reconciler in the control process makes TorchServe and Envoy match it. It survives `stop`
and `make clean`: `marina serve` restores it.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ValidationError

from marina.errors import MarinaError, NothingToRollBackError
from marina.files import write_atomic
from marina.serving.envoy.route_state import ModelRouteState, VersionRouteState
from marina.serving.reconciler import default_history
from marina.serving.reconciler.default_history import DefaultChange
from marina.serving.reconciler.model_store import Archive, version_key
from marina.settings import Settings

STARTING = "it is being started, see /ready"


class VersionSpec(BaseModel):
    """Spec of one version: the archive's file name in the store, and the number of workers."""

    archive: str
    workers: int = 1
    retiring: bool = False


class ModelSpec(BaseModel):
    """Spec of one model: its versions, and the default, which serves requests that name no version."""

    default: str
    versions: dict[str, VersionSpec]


class DesiredState(BaseModel):
    """Specs of all models by name.

    `models` are served. `paused` are not, because `marina serve NAMES` named others; their specs are kept. `retired`
    are the versions of each model that must not be served again unless the user names them. `defaults` is the history
    of each model's default, the latest change last.
    """

    models: dict[str, ModelSpec] = {}
    paused: dict[str, ModelSpec] = {}
    retired: dict[str, list[str]] = {}
    defaults: dict[str, list[DefaultChange]] = {}

    def at(self, name: str, version: str) -> VersionSpec:
        """Return the spec of a version; raises MarinaError if it is not being served."""
        model = self.models.get(name)
        if model is None:
            raise MarinaError(f"{name} is not served; it serves {', '.join(self.models) or 'nothing'}")
        if version not in model.versions or model.versions[version].retiring:
            raise MarinaError(f"{name} {version} is not served; its versions are {', '.join(model.versions)}")
        return model.versions[version]

    def archives(self) -> set[str]:
        """Return the file name of every archive that is served."""
        return {spec.archive for model in self.models.values() for spec in model.versions.values()}

    def add(self, archive: Archive, workers: int) -> None:
        """Add a version. The first one becomes the default; later ones take no traffic until `set_default`.

        A paused model is resumed with its other versions.
        """
        self.resume(archive.name)
        if archive.name not in self.models:
            self.begin(archive.name, archive.version)
        self.models[archive.name].versions[archive.version] = VersionSpec(archive=archive.path.name, workers=workers)
        self._forget_retired(archive.name, archive.version)

    def begin(self, name: str, default: str) -> None:
        """Begin to serve a model, of which the default version is to be added next."""
        self.models[name] = ModelSpec(default=default, versions={})
        self.defaults[name] = default_history.append(self.defaults.get(name, []), "first", default, "")

    def resume(self, name: str) -> None:
        """Serve a paused model again, as it was; nothing happens if it is not paused."""
        if name in self.paused:
            self.models[name] = self.paused.pop(name)

    def pause(self, name: str) -> None:
        """Stop serving a model and keep its spec."""
        self.paused[name] = self.models.pop(name)

    def scale(self, name: str, version: str, workers: int) -> None:
        """Set the number of workers; raises MarinaError for a negative number or an unknown version."""
        if workers < 0:
            raise MarinaError("the number of workers can't be negative")
        self.at(name, version).workers = workers

    def set_default(self, name: str, version: str, why: str = "") -> None:
        """Make a version the default; raises MarinaError if it is not being served."""
        self.at(name, version)
        model = self.models[name]
        # A state of an earlier Marina has no history: a rollback needs the default that it had.
        changes = self.defaults.get(name) or default_history.append([], "first", model.default, "")
        if version != model.default:
            changes = default_history.append(changes, "set-default", version, why)
        self.defaults[name], model.default = changes, version

    def previous_default(self, name: str) -> DefaultChange:
        """Return the change that `roll_back_default` restores; raises MarinaError if its version is not served."""
        change = default_history.previous(self.defaults.get(name, []))
        if change is None:
            raise NothingToRollBackError(f"{name}: there is no earlier default to go back to")
        try:
            self.at(name, change.version)
        except MarinaError as exc:
            raise MarinaError(f"the previous default can't be restored: {exc}") from exc
        return change

    def roll_back_default(self, name: str, why: str = "") -> None:
        """Restore the previous default; raises MarinaError as `previous_default`."""
        change = self.previous_default(name)
        self.models[name].default = change.version
        self.defaults[name] = default_history.append(
            self.defaults[name], "rollback", change.version, why, restored=change.id
        )

    def retire(self, name: str, version: str) -> None:
        """Mark a version as retiring; raises MarinaError for the default while the model has other versions."""
        self.at(name, version)
        others = [other for other, spec in self.models[name].versions.items() if other != version and not spec.retiring]
        if others and self.models[name].default == version:
            newest = max(others, key=version_key)
            raise MarinaError(
                f"{name} {version} is the default: `make set-default MODEL={name} VERSION={newest}` first"
            )
        self.models[name].versions[version].retiring = True

    def drop(self, name: str, version: str) -> None:
        """Remove a version that was retired, and its model with the last version; remember that it was retired."""
        self.models[name].versions.pop(version)
        if not self.models[name].versions:
            self.models.pop(name)
        self.retired.setdefault(name, []).append(version)

    def _forget_retired(self, name: str, version: str) -> None:
        kept = [other for other in self.retired.pop(name, []) if other != version]
        if kept:
            self.retired[name] = kept

    def closed_routes(self) -> dict[str, ModelRouteState]:
        """Return routes that respond with 503 for every version, for the time until TorchServe has started."""
        return {
            name: ModelRouteState(
                model.default,
                {
                    version: VersionRouteState(0, (503, f"{name} {version} is not ready: {STARTING}"))
                    for version in model.versions
                },
            )
            for name, model in self.models.items()
        }


def state_file(settings: Settings) -> Path:
    """Return the file that holds the desired state."""
    return settings.state / "models.json"


def former_state_file(settings: Settings) -> Path:
    """Return the file of earlier versions of Marina. It is read until the first change, which replaces it."""
    return settings.run / "models.json"


def last_good_file(settings: Settings) -> Path:
    """Return the copy of the state that Marina saved last, for the time when the file itself can't be read."""
    return settings.state / "models.json.last"


def load(settings: Settings) -> DesiredState:
    """Return the stored state; empty while there is no file.

    The last good copy stands in for a file that can't be read: see `damage`. Raises MarinaError if there is none.
    """
    path = next((path for path in (state_file(settings), former_state_file(settings)) if path.exists()), None)
    if path is None:
        return DesiredState()
    try:
        return _read(path)
    except MarinaError:
        if not last_good_file(settings).exists():
            raise
        return _read(last_good_file(settings))


def damage(settings: Settings) -> str | None:
    """Return why the stored state can't be read and the last good copy is used; None if it can."""
    try:
        if state_file(settings).exists():
            _read(state_file(settings))
    except MarinaError as exc:
        copy = last_good_file(settings)
        return f"{exc}. Until then {copy.name} holds, as the last command wrote it" if copy.exists() else str(exc)
    return None


def _read(path: Path) -> DesiredState:
    try:
        return DesiredState.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        raise MarinaError(
            f"{path} can't be read ({exc.errors()[0]['msg']}): restore it from a backup, or remove it to serve "
            "the newest version of every model"
        ) from exc


def save(settings: Settings, desired: DesiredState) -> None:
    """Store the state, and a copy of it. A damaged file is kept beside it under another name."""
    if damage(settings):
        kept = state_file(settings).with_name(f"models.json.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
        state_file(settings).rename(kept)
    text = desired.model_dump_json(indent=2) + "\n"
    for path in (state_file(settings), last_good_file(settings)):
        write_atomic(path, text)
    former_state_file(settings).unlink(missing_ok=True)


@contextmanager
def change(settings: Settings) -> Iterator[DesiredState]:
    """Load the state, let the caller change it, and save it, under a lock between processes.

    An exception in the caller's block saves nothing.
    """
    with (settings.state / "models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        desired = load(settings)
        yield desired
        save(settings, desired)
