"""The app: readiness, the cards of the models, and the page that describes the API."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Response
from fastapi_offline import FastAPIOffline

from control import cards, experiments, faults, feedback, openapi
from control.desk import Desk
from routing.live import Live
from serving.fleet import Fleet
from serving.settings import Settings
from serving.status import BundleStatus

logger = logging.getLogger(__name__)


def end_with_it(loop: asyncio.Task[None]) -> None:
    """A control whose loop failed would tell old news for ever: the supervisor starts another."""
    if not loop.cancelled():
        logger.critical("the loop failed", exc_info=loop.exception())
        signal.raise_signal(signal.SIGTERM)


async def ready(response: Response, fleet: cards.FleetOf) -> BundleStatus:
    """Whether every model that was asked for has a READY worker that answered a canary; if not, why."""
    status = await fleet.status()
    response.status_code = 200 if status.ready else 503
    return status


def served(fleet: Fleet) -> dict[str, openapi.Served]:
    """What the API's description says of each model, by its default version."""
    found = {}
    for name, model in fleet.desired.models.items():
        archive = cards.archive_of(fleet, name)
        api = (cards.card(archive) or {}).get("api", openapi.ANYTHING)
        found[name] = openapi.Served(list(model.versions), api, cards.example(archive))
    return found


def app(settings: Settings) -> FastAPI:
    """The app; its lifespan runs the fleet and, beside it, the experiments."""
    live = Live(settings)
    fleet = Fleet(settings, live.overlay)

    @asynccontextmanager
    async def lifespan(started: FastAPI) -> AsyncIterator[None]:
        desk = Desk(settings, live, fleet, started.state)
        loops = [asyncio.create_task(fleet.run()), asyncio.create_task(desk.run())]
        for loop in loops:
            loop.add_done_callback(end_with_it)
        yield
        for loop in loops:
            loop.cancel()

    application = FastAPIOffline(
        title="Marina", docs_url="/docs", redoc_url=None, static_url="/docs/static", lifespan=lifespan
    )
    application.state.fleet = fleet
    for kind, answer in faults.HANDLERS.items():
        application.add_exception_handler(kind, answer)
    application.add_api_route("/ready", ready, responses={503: {"model": BundleStatus}}, tags=["readiness"])
    for router in (cards.router, experiments.router, feedback.router):
        application.include_router(router)

    def document() -> dict[str, Any]:
        return openapi.describe(application, served(fleet))

    application.openapi = document  # type: ignore[method-assign]
    return application
