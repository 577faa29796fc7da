"""App of control: readiness, cards, experiments, feedback and the page that describes the API.

`python -m marina.api.app` runs it; the supervisor starts it. Its lifespan runs the reconciler and, beside it, the
control loop of the experiments.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import State

from marina.api import cards, exception_handlers, experiment_routes, feedback_routes, key_routes, openapi
from marina.api.callers import AnonymousDependency
from marina.api.page_headers import PageHeaders
from marina.errors import DatabaseReplacedError
from marina.experiments.control_loop import ControlLoop
from marina.experiments.database import connect
from marina.experiments.manager import ExperimentManager, StateCache
from marina.serving.key_publisher import KeyPublisher
from marina.serving.reconciler.reconciler import Reconciler
from marina.serving.reconciler.status import BundleReadiness, BundleStatus
from marina.settings import Settings

logger = logging.getLogger("marina.api.app")  # its name also where this module is run as __main__

RECONNECT_SECONDS = 5.0


class ExperimentRuntime:
    """The database of the experiments and their control loop.

    Sets `engine` and `manager` in the app's state once the database responds. They are None before; models are served
    all the same.
    """

    def __init__(self, settings: Settings, cache: StateCache, reconciler: Reconciler, state: State) -> None:
        self._settings, self._cache, self._reconciler, self._state = settings, cache, reconciler, state
        state.engine = state.manager = None

    async def run(self) -> None:
        """Run until cancelled."""
        engine = await self._connect()
        try:
            self._state.engine = engine
            self._state.manager = ExperimentManager(engine, self._cache, self._reconciler)
            await ControlLoop(self._settings, engine, self._cache, self._state.manager).run()
        finally:
            engine.dispose()

    async def _connect(self) -> Engine:
        while True:
            try:
                engine = await asyncio.to_thread(connect, self._settings.database_url)
                await asyncio.to_thread(self._cache.refresh, engine)
                return engine
            except (SQLAlchemyError, ValueError, OSError, DatabaseReplacedError) as exc:
                logger.error("experiments wait for their database: %s", exc)
                await asyncio.sleep(RECONNECT_SECONDS)


def exit_on_failure(loop: asyncio.Task[None]) -> None:
    """Exit when the loop ends, or status would go stale; the supervisor starts another control."""
    if not loop.cancelled():
        logger.critical("the loop failed", exc_info=loop.exception())
        signal.raise_signal(signal.SIGTERM)


async def live() -> Response:
    """Respond, for the watchdog, as long as the event loop runs."""
    return Response()


async def status(request: Request, response: Response, reconciler: cards.ReconcilerDependency) -> BundleStatus:
    """Return 200 if every model of the desired state has a READY worker that passed a canary, else 503 and why."""
    current = await reconciler.status()
    response.status_code = 200 if current.ready else 503
    problem = request.app.state.experiment_states.problem
    lost = {"experiments_lost": problem} if problem else {}
    return current.model_copy(update={"warnings": {**current.warnings, **lost}})


async def ready(
    request: Request, response: Response, reconciler: cards.ReconcilerDependency, anonymous: AnonymousDependency
) -> BundleReadiness | JSONResponse:
    """Return 200 if every model of the desired state has a READY worker that passed a canary, else 503.

    `warnings` name what will need an operator although requests are served; `make status` explains them. Callers
    without an access key, where one is needed, learn `ready` alone.
    """
    current = await status(request, response, reconciler)
    return JSONResponse({"ready": current.ready}, response.status_code) if anonymous else current.readiness()


def served_models(reconciler: Reconciler) -> dict[str, openapi.ServedModel]:
    """Return the models that the OpenAPI document describes, each by its default version."""
    models = {}
    for name, model in reconciler.desired.models.items():
        archive = cards.archive_of(reconciler, name)
        api = (cards.card(archive) or {}).get("api", openapi.UNKNOWN_API)
        models[name] = openapi.ServedModel(list(model.versions), api, cards.example(archive))
    return models


def app(settings: Settings) -> FastAPI:
    """Return the app; its lifespan runs the reconciler and, beside it, the experiments."""
    cache = StateCache(settings)
    reconciler = Reconciler(settings, cache.route_extension)

    @asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncIterator[None]:
        experiments = ExperimentRuntime(settings, cache, reconciler, running.state)
        running_loops = [reconciler.run(), experiments.run()]
        if settings.keys_required:
            running_loops.append(KeyPublisher(settings).run())
        loops = [asyncio.create_task(loop) for loop in running_loops]
        for loop in loops:
            loop.add_done_callback(exit_on_failure)
        yield
        for loop in loops:
            loop.cancel()

    application = FastAPIOffline(
        title="Marina", docs_url="/docs", redoc_url=None, static_url="/docs/static", lifespan=lifespan
    )
    application.add_middleware(PageHeaders)
    application.state.reconciler, application.state.experiment_states = reconciler, cache
    for kind, handler in exception_handlers.HANDLERS.items():
        application.add_exception_handler(kind, handler)
    unready: dict[int | str, dict[str, Any]] = {503: {"model": BundleReadiness}}
    application.add_api_route("/ready", ready, response_model=BundleReadiness, responses=unready, tags=["readiness"])
    # Envoy has no route to these: `marina status` and the watchdog use control's own socket.
    application.add_api_route("/status", status, include_in_schema=False)
    application.add_api_route("/live", live, include_in_schema=False)
    for router in (cards.router, experiment_routes.router, feedback_routes.router, key_routes.router):
        application.include_router(router)

    _describe(application, reconciler)
    return application


def _describe(application: FastAPI, reconciler: Reconciler) -> None:
    """Serve the document of the API at /openapi.json; callers without a key that is needed see no model's name."""

    def document(anonymous: AnonymousDependency) -> dict[str, Any]:
        models = None if anonymous else served_models(reconciler)
        return openapi.openapi_document(application, models, reconciler.settings.keys_required)

    path = application.openapi_url
    application.router.routes[:] = [each for each in application.routes if getattr(each, "path", None) != path]
    application.add_api_route(str(path), document, include_in_schema=False)


def listening_socket(path: Path) -> socket.socket:
    """Return a unix socket in place of the last control's. uvicorn's own would be open to every user."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    path.chmod(0o600)
    return made


def main() -> None:
    """Serve the app on its unix socket until a signal comes."""
    settings = Settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-5s %(name)s - %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # No access log: Envoy's has every request already.
    server = uvicorn.Server(uvicorn.Config(app(settings), log_config=None, access_log=False))
    server.run(sockets=[listening_socket(settings.control_socket)])


if __name__ == "__main__":
    main()
