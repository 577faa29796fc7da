"""/v1/experiments: the same as the `make ab` verbs, behind TorchServe's management token."""

import asyncio
import secrets
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from control.cards import FleetOf
from control.faults import FieldError
from routing import history
from routing.experiments import Experiment, Mirror, parsed
from routing.history import Change
from routing.lines import Text
from routing.pilot import Pilot, UnknownError
from routing.summary import Summary, summarize
from serving.management import Keys


def allowed(fleet: FleetOf, authorization: Annotated[str, Header()] = "") -> None:
    """Who may manage TorchServe may move its traffic, and nobody else."""
    keys = Keys.read(fleet.settings)
    if keys is None:
        raise HTTPException(503, "TorchServe is starting: there is no token yet")
    if not secrets.compare_digest(authorization.encode(), f"Bearer {keys.management}".encode()):
        raise FieldError(401, "the management token is missing or wrong: `make token`", "Authorization")


router = APIRouter(prefix="/v1/experiments", tags=["experiments"], dependencies=[Depends(allowed)])


def the_pilot(request: Request) -> Pilot:
    pilot: Pilot | None = request.app.state.pilot
    if pilot is None:
        raise HTTPException(503, "the database of the experiments does not answer: see the log of control")
    return pilot


PilotOf = Annotated[Pilot, Depends(the_pilot)]


class Order(BaseModel):
    """Who wants it, and why: both go into the history."""

    model_config = ConfigDict(extra="forbid")

    who: Text = "unknown"
    why: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")] = ""


NOBODY = Order()


class Create(Order):
    experiment: dict[str, Any]


class Weigh(Order):
    weights: dict[str, float]


class Promote(Order):
    variant: str


class Copy(Order):
    mirror: Mirror


class Known(BaseModel):
    """What is known of an experiment."""

    summary: Summary
    history: list[Change]


def known(pilot: Pilot, name: str) -> Known:
    """Raises UnknownError."""
    changes = history.changes(pilot.engine, name)
    if not changes:
        raise UnknownError(f"there is no experiment {name}")
    return Known(summary=summarize(pilot.engine, changes[0].state, changes, time.time()), history=changes)


@router.get("")
async def experiments(pilot: PilotOf) -> list[Summary]:
    """Every experiment that runs, with what is known of it."""
    names = [name for name, state in (await asyncio.to_thread(history.current, pilot.engine)).items() if state.running]
    return [(await asyncio.to_thread(known, pilot, name)).summary for name in names]


@router.post("", status_code=201)
async def create(order: Create, pilot: PilotOf) -> Change:
    """Start one. Every variant must be ready, and answers its canary now."""
    experiment = parsed(Experiment, order.experiment, str(order.experiment.get("name", "experiment")))
    return await pilot.create(experiment, order.who, order.why)


@router.get("/{name}")
async def experiment(name: str, pilot: PilotOf) -> Known:
    return await asyncio.to_thread(known, pilot, name)


@router.put("/{name}/weights")
async def weigh(name: str, order: Weigh, pilot: PilotOf) -> Change:
    """Percent by variant, adding up to 100; those not named get 0."""
    return await pilot.weigh(name, order.weights, order.who, order.why)


@router.post("/{name}/promote")
async def promote(name: str, order: Promote, pilot: PilotOf) -> Change:
    """Everybody gets this variant."""
    return await pilot.promote(name, order.variant, order.who, order.why)


@router.post("/{name}/rollback")
async def rollback(name: str, pilot: PilotOf, order: Order = NOBODY) -> Change:
    """Exactly the state before the last change."""
    return await pilot.rollback(name, order.who, order.why)


@router.put("/{name}/mirror")
async def mirror(name: str, order: Copy, pilot: PilotOf) -> Change:
    """Copy a share of the requests; 0 percent ends it."""
    return await pilot.mirror(name, order.mirror, order.who, order.why)


@router.post("/{name}/stop")
async def stop(name: str, pilot: PilotOf, order: Order = NOBODY) -> Change:
    """End it; its history stays."""
    return await pilot.stop(name, order.who, order.why)


@router.get("/{name}/report", response_class=HTMLResponse)
async def report(name: str, pilot: PilotOf) -> HTMLResponse:
    """The page that `make ab-report` saves."""
    from routing import page  # matplotlib: not for a control that starts

    def render() -> str:
        changes = known(pilot, name).history
        with tempfile.TemporaryDirectory() as folder:
            file = page.write(pilot.engine, changes[0].state, changes, Path(folder))
            return file.read_text(encoding="utf-8")

    return HTMLResponse(await asyncio.to_thread(render))
