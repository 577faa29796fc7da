"""GET /v1/models: the models that are served, with cards and examples."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel

from marina.packaging.verify import NotVerifiedError
from marina.serving.reconciler.model_store import Archive
from marina.serving.reconciler.reconciler import Reconciler
from marina.serving.reconciler.status import BundleStatus

router = APIRouter(prefix="/v1/models", tags=["models"])


class ModelCards(BaseModel):
    """A model that is served: its readiness, and the card of each version (null for a foreign archive)."""

    name: str
    ready: bool
    default: str
    versions: dict[str, dict[str, Any] | None]


def get_reconciler(request: Request) -> Reconciler:
    """Return the app's reconciler: a FastAPI dependency."""
    reconciler: Reconciler = request.app.state.reconciler
    return reconciler


ReconcilerDependency = Annotated[Reconciler, Depends(get_reconciler)]


def archive_of(reconciler: Reconciler, name: str, version: str | None = None) -> Archive:
    """Return the verified archive of a version, or of the default one; raise HTTPException 404 if it isn't served."""
    model = reconciler.desired.models.get(name)
    if model is None:
        raise HTTPException(404, f"{name} is not served")
    version = version or model.default
    return Archive(name, version, reconciler.settings.verified / model.versions[version].archive)


def card(archive: Archive) -> dict[str, Any] | None:
    """Return the card; None for an archive that has none, or is damaged."""
    try:
        return archive.card
    except NotVerifiedError:
        return None


def example(archive: Archive) -> tuple[bytes, str] | None:
    """Return body and content type of the example request, None if there is none."""
    return archive.example() if card(archive) else None


def cards_of(reconciler: Reconciler, name: str, status: BundleStatus) -> ModelCards:
    """Return the cards of one model; raise HTTPException 404 for a model that is not served."""
    default = archive_of(reconciler, name).version
    versions = {
        version: card(archive_of(reconciler, name, version)) for version in reconciler.desired.models[name].versions
    }
    ready = name in status.models and status.models[name].ready
    return ModelCards(name=name, ready=ready, default=default, versions=versions)


@router.get("")
async def models(reconciler: ReconcilerDependency) -> list[ModelCards]:
    """Return every model that is served."""
    status = await reconciler.status()
    return [cards_of(reconciler, name, status) for name in reconciler.desired.models]


@router.get("/{name}")
async def model(name: str, reconciler: ReconcilerDependency) -> ModelCards:
    """Return one model with the card of each of its versions."""
    return cards_of(reconciler, name, await reconciler.status())


@router.get("/{name}/example", response_class=Response)
async def example_of(name: str, reconciler: ReconcilerDependency) -> Response:
    """Return an example of a request body: POST it to /predictions/{name}."""
    content = example(archive_of(reconciler, name))
    if content is None:
        raise HTTPException(404, f"{name} gives no example")
    return Response(content[0], media_type=content[1])
