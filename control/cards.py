"""GET /v1/models: what is served, with its cards and examples."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel

from archive.verify import NotVerifiedError
from serving.fleet import Fleet
from serving.status import BundleStatus
from serving.store import Archive

router = APIRouter(prefix="/v1/models", tags=["models"])


class ModelCards(BaseModel):
    """A model that is served: its readiness, and the card of each version (null for a foreign archive)."""

    name: str
    ready: bool
    default: str
    versions: dict[str, dict[str, Any] | None]


def the_fleet(request: Request) -> Fleet:
    fleet: Fleet = request.app.state.fleet
    return fleet


FleetOf = Annotated[Fleet, Depends(the_fleet)]


def archive_of(fleet: Fleet, name: str, version: str | None = None) -> Archive:
    """The archive of a version, or of the default one; raises HTTPException 404 for what is not served."""
    model = fleet.desired.models.get(name)
    if model is None:
        raise HTTPException(404, f"{name} is not served")
    version = version or model.default
    return Archive(name, version, fleet.settings.store / model.versions[version].archive)


def card(archive: Archive) -> dict[str, Any] | None:
    """None for an archive that has no card, or is damaged."""
    try:
        return archive.card
    except NotVerifiedError:
        return None


def example(archive: Archive) -> tuple[bytes, str] | None:
    """Body and content type of the example request, if there is one."""
    return archive.example() if card(archive) else None


def cards_of(fleet: Fleet, name: str, status: BundleStatus) -> ModelCards:
    """Raises HTTPException 404 for what is not served."""
    default = archive_of(fleet, name).version
    versions = {version: card(archive_of(fleet, name, version)) for version in fleet.desired.models[name].versions}
    ready = name in status.models and status.models[name].ready
    return ModelCards(name=name, ready=ready, default=default, versions=versions)


@router.get("")
async def models(fleet: FleetOf) -> list[ModelCards]:
    """Every model that is served."""
    status = await fleet.status()
    return [cards_of(fleet, name, status) for name in fleet.desired.models]


@router.get("/{name}")
async def model(name: str, fleet: FleetOf) -> ModelCards:
    """One model with the card of each of its versions."""
    return cards_of(fleet, name, await fleet.status())


@router.get("/{name}/example", response_class=Response)
async def example_of(name: str, fleet: FleetOf) -> Response:
    """A request body that the model answers: POST it to /predictions/{name}."""
    found = example(archive_of(fleet, name))
    if found is None:
        raise HTTPException(404, f"{name} gives no example")
    return Response(found[0], media_type=found[1])
