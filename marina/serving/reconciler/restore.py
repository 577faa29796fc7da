"""Desired state at a start: the stored one, with what the command names and what is new in the store.

A stored model keeps its versions, workers and default. A new version of it takes no traffic until `set-default`; a
version that was retired stays retired; a version whose archive is missing or refused stays in the state.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from marina.errors import MarinaError
from marina.serving.reconciler.desired_state import DesiredState, ModelSpec
from marina.serving.reconciler.model_store import Archive


@dataclass(frozen=True)
class NamedModels:
    """Models that the user names, and of some of them one version. Without names every model is served."""

    models: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def specified(models: Mapping[str, ModelSpec], store: Path) -> list[Archive]:
    """Return the archive of every version in the specs, also of those that are missing from the store."""
    return [
        Archive(name, version, store / spec.archive)
        for name, model in models.items()
        for version, spec in model.versions.items()
    ]


def restore(
    desired: DesiredState,
    archives: Mapping[str, list[Archive]],
    refused: Container[Archive],
    named: NamedModels = NamedModels(),
) -> list[str]:
    """Change the stored state to the one to start with; return a line for each thing that the user should know.

    `archives` are those of the store by model, oldest first. Raises MarinaError if nothing is left to serve.
    """
    _finish_retiring(desired)
    names = named.models or tuple(dict.fromkeys((*desired.models, *desired.paused, *archives)))
    others = [name for name in desired.models if name not in names]
    for name in others:
        desired.pause(name)
    notes = [f"{', '.join(others)}: not served until the next `make serve` without names"] if others else []
    for name in names:
        desired.resume(name)
        found = archives.get(name, [])
        explicit = named.versions.get(name)
        if name in desired.models:
            notes += _add_versions(desired, found, refused, explicit)
        elif name in named.models or name not in desired.retired:
            _add_model(desired, found, refused, explicit)
        else:
            notes += _still_retired(desired, name, found)
    if not desired.models:
        raise MarinaError("every model was retired: name those to serve, as in `make serve MODELS=resnet18`")
    return notes


def unavailable_defaults(desired: DesiredState, refused: Container[Archive], store: Path) -> list[str]:
    """Return a line for each model whose default version is missing or refused: the default does not change."""
    lines = []
    for name, model in desired.models.items():
        good = [
            version
            for version, spec in model.versions.items()
            if Archive(name, version, store / spec.archive) not in refused
        ]
        if model.default not in good:
            action = f"`make set-default MODEL={name} VERSION={good[-1]}`" if good else "its archive is back"
            lines.append(f"{name} {model.default} remains the default: /predictions/{name} gets 503 until {action}")
    return lines


def _finish_retiring(desired: DesiredState) -> None:
    """Drop the versions that were being drained when the bundle stopped."""
    retiring = [
        (name, version)
        for name, model in desired.models.items()
        for version, spec in model.versions.items()
        if spec.retiring
    ]
    for name, version in retiring:
        desired.drop(name, version)


def _add_versions(
    desired: DesiredState, archives: Iterable[Archive], refused: Container[Archive], explicit: str | None
) -> list[str]:
    """Add the versions that a served model does not have yet; return a line for each."""
    notes = []
    for archive in archives:
        name, version = archive.name, archive.version
        model, retired = desired.models[name], version in desired.retired.get(name, ())
        if version not in model.versions and (version == explicit or not retired):
            desired.add(archive, _workers(archive, refused))
            notes.append(
                f"{name} {version} is new: no traffic until `make set-default MODEL={name} VERSION={version}`; "
                f"the default is {model.default}"
            )
    return notes


def _add_model(
    desired: DesiredState, archives: list[Archive], refused: Container[Archive], explicit: str | None
) -> None:
    """Add a model with the named version as its default, or the newest that is not refused.

    Versions that were retired are left out, unless nothing else is there: then the newest is served again.
    """
    if not archives:
        return
    retired = desired.retired.get(archives[0].name, [])
    wanted = [each for each in archives if each.version == explicit or each.version not in retired] or archives[-1:]
    good = [each for each in wanted if each not in refused] or wanted[:1]
    default = next((each for each in wanted if each.version == explicit), good[-1])
    desired.begin(default.name, default.version)
    for archive in wanted:
        desired.add(archive, _workers(archive, refused))


def _still_retired(desired: DesiredState, name: str, archives: Iterable[Archive]) -> list[str]:
    """Return a line for each new version of a model whose versions were all retired."""
    return [
        f"{name} {each.version} is new, but {name} was retired: `make register MODEL={name} VERSION={each.version}` "
        "serves it"
        for each in archives
        if each.version not in desired.retired[name]
    ]


def _workers(archive: Archive, refused: Container[Archive]) -> int:
    """Return the workers of a new version; the configuration of a refused archive is not read."""
    return 1 if archive in refused else archive.workers
