"""`marina register`, `scale`, `set-default` and `retire`: they write the desired state, control applies it."""

from typing import Annotated

import typer

from marina.cli import bundle_client
from marina.errors import MarinaError
from marina.packaging.verify import NotVerifiedError
from marina.serving.reconciler import desired_state, model_store
from marina.serving.reconciler.status import BundleStatus, VersionStatus
from marina.settings import Settings

FINAL = {"failed", "refused"}


def _version(status: BundleStatus, name: str, version: str) -> VersionStatus | None:
    model = status.models.get(name)
    return model.versions.get(version) if model else None


def _served(status: BundleStatus, name: str, version: str, workers: int | None = None) -> bool:
    """Check whether it responds, with that many workers; raise MarinaError with the reason if it never will."""
    found = _version(status, name, version)
    if found is None:
        return False
    if found.state in FINAL:
        raise MarinaError(f"{name} {version}: {found.reason}")
    if workers == 0:
        return found.state == "stopped" and not found.workers
    ready = [worker for worker in found.workers if worker.status == "READY"]
    return found.ready and (workers is None or len(ready) == len(found.workers) == workers)


def register(model: str, version: Annotated[str | None, typer.Argument(help="default: the newest")] = None) -> None:
    """Serve one more archive of the store. The first version of a model becomes its default."""
    settings = Settings()
    bundle_client.require_running(settings)
    archive = model_store.find(settings, model, version)
    try:
        archive.verify(settings.public_key)
    except NotVerifiedError as exc:
        raise MarinaError(f"refused: {exc}") from exc
    with desired_state.change(settings) as wanted:
        if model in wanted.models and archive.version in wanted.models[model].versions:
            raise MarinaError(f"{model} {archive.version} is served already; to load it again, retire it first")
        wanted.add(archive, archive.workers)
    bundle_client.wait_until(
        settings, f"registering {model} {archive.version}", lambda now: _served(now, model, archive.version)
    )
    bundle_client.console.print(
        f"{model} {archive.version} answers at {settings.url}/predictions/{model}/{archive.version}"
    )


def scale(model: str, version: str, workers: int) -> None:
    """Give one version that many workers. 0 frees its memory; it then answers 503."""
    settings = Settings()
    bundle_client.require_running(settings)
    with desired_state.change(settings) as wanted:
        wanted.scale(model, version, workers)
    bundle_client.wait_until(settings, f"scaling {model} {version}", lambda now: _served(now, model, version, workers))
    bundle_client.console.print(f"{model} {version} has {workers} workers")


def set_default(model: str, version: str) -> None:
    """Let /predictions/MODEL be answered by that version."""
    settings = Settings()
    bundle_client.require_running(settings)
    current = bundle_client.status(settings)
    if current is None or not _served(current, model, version):
        raise MarinaError(f"{model} {version} is not ready, so it can't become the default; see `make status`")
    with desired_state.change(settings) as wanted:
        wanted.set_default(model, version)
    bundle_client.wait_until(
        settings,
        f"making {version} the default of {model}",
        lambda now: now.models[model].default == version and now.models[model].ready,
    )
    bundle_client.console.print(f"{settings.url}/predictions/{model} is answered by version {version}")


def retire(model: str, version: str) -> None:
    """Take one version out of service when its last request is answered. Its archive stays in the store."""
    settings = Settings()
    bundle_client.require_running(settings)
    for name in bundle_client.experiments_with(settings, model, version):
        raise MarinaError(
            f"{model} {version} answers requests of the experiment {name}: `make ab-stop EXP={name}` first"
        )
    with desired_state.change(settings) as wanted:
        wanted.retire(model, version)
    bundle_client.wait_until(settings, f"draining {model} {version}", lambda now: _version(now, model, version) is None)
    bundle_client.console.print(f"{model} {version} is retired; its archive is still in the store")
