"""The commands `marina register`, `scale` and `retire`, which change one version of a running bundle.

Each writes the desired state, which the reconciler in the control process applies, and waits until it is applied.
"""

from typing import Annotated

import typer

from marina.cli import bundle_client
from marina.errors import MarinaError
from marina.packaging.verify import NotVerifiedError
from marina.serving.reconciler import desired_state, model_store, verified_store
from marina.serving.reconciler.desired_state import DesiredState
from marina.serving.reconciler.status import BundleStatus, VersionStatus
from marina.settings import Settings

FINAL = {"failed", "refused"}  # states that a version never leaves by itself


def _version(status: BundleStatus, name: str, version: str) -> VersionStatus | None:
    model = status.models.get(name)
    return model.versions.get(version) if model else None


def served(status: BundleStatus, name: str, version: str, workers: int | None = None) -> bool:
    """Return whether a version is ready, and has this number of ready workers if it is given; 0: whether it is stopped.

    Raises MarinaError with the reason if the version can't become ready.
    """
    observed = _version(status, name, version)
    if observed is None:
        return False
    if observed.state in FINAL:
        raise MarinaError(f"{name} {version}: {observed.reason}")
    if workers == 0:
        return observed.state == "stopped" and not observed.workers
    ready = [worker for worker in observed.workers if worker.status == "READY"]
    return observed.ready and (workers is None or len(ready) == len(observed.workers) == workers)


def _check_not_served(desired: DesiredState, model: str, version: str) -> None:
    if model in desired.models and version in desired.models[model].versions:
        raise MarinaError(f"{model} {version} is served already; to load it again, retire it first")


def register(model: str, version: Annotated[str | None, typer.Argument(help="default: the newest")] = None) -> None:
    """Serve one more version, from its archive in the store. The first version of a model becomes its default."""
    settings = Settings()
    bundle_client.require_running(settings)
    archive = model_store.find(settings, model, version)
    _check_not_served(desired_state.load(settings), model, archive.version)
    try:
        admitted = verified_store.admit(settings, archive)
    except NotVerifiedError as exc:
        raise MarinaError(f"refused: {exc}") from exc
    with desired_state.change(settings) as desired:
        _check_not_served(desired, model, archive.version)
        desired.add(archive, admitted.workers)
    bundle_client.wait_until(
        settings, f"registering {model} {archive.version}", lambda now: served(now, model, archive.version)
    )
    bundle_client.console.print(
        f"{model} {archive.version} is served at {settings.url}/predictions/{model}/{archive.version}"
    )


def scale(model: str, version: str, workers: int) -> None:
    """Set the number of workers of one version. With 0 it frees its memory, and its requests get HTTP 503."""
    settings = Settings()
    bundle_client.require_running(settings)
    with desired_state.change(settings) as desired:
        desired.scale(model, version, workers)
    bundle_client.wait_until(settings, f"scaling {model} {version}", lambda now: served(now, model, version, workers))
    bundle_client.console.print(f"{model} {version} has {workers} workers")


def retire(model: str, version: str) -> None:
    """Stop serving one version after its last request has completed. Its archive stays in the store."""
    settings = Settings()
    bundle_client.require_running(settings)
    for name in bundle_client.experiments_with(settings, model, version):
        raise MarinaError(
            f"{model} {version} serves requests of the experiment {name}: `make ab-stop EXP={name}` first"
        )
    with desired_state.change(settings) as desired:
        desired.retire(model, version)
    bundle_client.wait_until(settings, f"draining {model} {version}", lambda now: _version(now, model, version) is None)
    bundle_client.console.print(f"{model} {version} is retired; its archive is still in the store")
