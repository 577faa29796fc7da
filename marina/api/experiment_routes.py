"""/v1/experiments: the operations of `marina ab`, for the scope `experiments` or TorchServe's management token."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from marina.api.callers import CallerDependency, require_operator
from marina.api.exception_handlers import NO_DATABASE
from marina.errors import UnknownExperimentError
from marina.experiments import history
from marina.experiments.database import ShortText
from marina.experiments.history import Change
from marina.experiments.manager import ExperimentManager
from marina.experiments.report.schema import Summary
from marina.experiments.report.summary import summarize
from marina.experiments.spec import Experiment, Mirror, parse

router = APIRouter(prefix="/v1/experiments", tags=["experiments"], dependencies=[Depends(require_operator)])


def get_manager(request: Request) -> ExperimentManager:
    """Return the manager, a FastAPI dependency; raise HTTPException 503 while there is no database."""
    manager: ExperimentManager | None = request.app.state.manager
    if manager is None:
        raise HTTPException(503, f"{NO_DATABASE}: see the log of control")
    return manager


ManagerDependency = Annotated[ExperimentManager, Depends(get_manager)]


def get_who(caller: CallerDependency) -> str:
    """Return the holder of the access key; empty without one, where the request may name anybody."""
    return caller.who


WhoDependency = Annotated[str, Depends(get_who)]


class ChangeRequest(BaseModel):
    """A change of an experiment; who makes it, and why, go into the history."""

    model_config = ConfigDict(extra="forbid")

    who: ShortText = "unknown"
    why: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")] = ""


ANONYMOUS = ChangeRequest()


class CreateRequest(ChangeRequest):
    """The spec of a new experiment."""

    experiment: dict[str, Any]


class WeightsRequest(ChangeRequest):
    """Percent by variant."""

    weights: dict[str, float]


class PromoteRequest(ChangeRequest):
    """The variant that gets all traffic."""

    variant: str


class MirrorRequest(ChangeRequest):
    """The variant that gets copies, and their share."""

    mirror: Mirror


class ExperimentDetails(BaseModel):
    """The summary of an experiment, and its history, newest change first."""

    summary: Summary
    history: list[Change]


def details(manager: ExperimentManager, name: str) -> ExperimentDetails:
    """Return an experiment's details; raise UnknownExperimentError."""
    changes = history.changes(manager.engine, name)
    if not changes:
        raise UnknownExperimentError(f"there is no experiment {name}")
    return ExperimentDetails(summary=summarize(manager.engine, changes[0].state, changes, time.time()), history=changes)


@router.get("")
async def experiments(manager: ManagerDependency) -> list[Summary]:
    """Return the summary of every experiment that runs."""
    names = [
        name for name, state in (await asyncio.to_thread(history.current, manager.engine)).items() if state.running
    ]
    return [(await asyncio.to_thread(details, manager, name)).summary for name in names]


@router.post("", status_code=201)
async def create(change: CreateRequest, manager: ManagerDependency, who: WhoDependency) -> Change:
    """Start an experiment. Every variant must be ready and pass a canary request."""
    experiment = parse(Experiment, change.experiment, str(change.experiment.get("name", "experiment")))
    return await manager.create(experiment, who or change.who, change.why)


@router.get("/{name}")
async def experiment(name: str, manager: ManagerDependency) -> ExperimentDetails:
    """Return the summary and the history of one experiment."""
    return await asyncio.to_thread(details, manager, name)


@router.put("/{name}/weights")
async def set_weights(name: str, change: WeightsRequest, manager: ManagerDependency, who: WhoDependency) -> Change:
    """Set percent by variant, adding up to 100; those not named get 0."""
    return await manager.set_weights(name, change.weights, who or change.who, change.why)


@router.post("/{name}/promote")
async def promote(name: str, change: PromoteRequest, manager: ManagerDependency, who: WhoDependency) -> Change:
    """Send all traffic to one variant."""
    return await manager.promote(name, change.variant, who or change.who, change.why)


@router.post("/{name}/rollback")
async def rollback(
    name: str, manager: ManagerDependency, who: WhoDependency, change: ChangeRequest = ANONYMOUS
) -> Change:
    """Restore exactly the state before the last change."""
    return await manager.rollback(name, who or change.who, change.why)


@router.put("/{name}/mirror")
async def mirror(name: str, change: MirrorRequest, manager: ManagerDependency, who: WhoDependency) -> Change:
    """Copy a share of the requests; 0 percent ends it."""
    return await manager.mirror(name, change.mirror, who or change.who, change.why)


@router.post("/{name}/stop")
async def stop(name: str, manager: ManagerDependency, who: WhoDependency, change: ChangeRequest = ANONYMOUS) -> Change:
    """Stop an experiment; its history stays."""
    return await manager.stop(name, who or change.who, change.why)


@router.get("/{name}/report", response_class=HTMLResponse)
async def report(name: str, manager: ManagerDependency) -> HTMLResponse:
    """Return the page that `marina ab report` saves."""
    from marina.experiments.report import page  # matplotlib: imported on demand, so that control starts fast

    def render() -> str:
        changes = details(manager, name).history
        with tempfile.TemporaryDirectory() as folder:
            file = page.write(manager.engine, changes[0].state, changes, Path(folder))
            return file.read_text(encoding="utf-8")

    return HTMLResponse(await asyncio.to_thread(render))
