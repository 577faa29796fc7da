"""App of control: readiness, cards, experiments, feedback and the page that describes the API.

`python -m marina.api.app` runs it; the supervisor starts it. Its lifespan runs the reconciler and, beside it, the
control loop of the experiments.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import State

from marina.api import cards, exception_handlers, experiment_routes, feedback_routes, key_routes, openapi
from marina.api.callers import AnonymousDependency
from marina.experiments.control_loop import ControlLoop
from marina.experiments.database import connect
from marina.experiments.manager import ExperimentManager, StateCache
from marina.serving.key_publisher import KeyPublisher
from marina.serving.reconciler.reconciler import Reconciler
from marina.serving.reconciler.status import BundleStatus
from marina.settings import LOOPBACK, Settings

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
            await asyncio.to_thread(self._cache.refresh, engine)
            self._state.engine = engine
            self._state.manager = ExperimentManager(engine, self._cache, self._reconciler)
            await ControlLoop(self._settings, engine, self._cache, self._state.manager).run()
        finally:
            engine.dispose()

    async def _connect(self) -> Engine:
        while True:
            try:
                return await asyncio.to_thread(connect, self._settings.database_url)
            except (SQLAlchemyError, ValueError, OSError) as exc:
                logger.error("experiments wait for their database: %s", exc)
                await asyncio.sleep(RECONNECT_SECONDS)


def exit_on_failure(loop: asyncio.Task[None]) -> None:
    """Exit when the loop ends, or status would go stale; the supervisor starts another control."""
    if not loop.cancelled():
        logger.critical("the loop failed", exc_info=loop.exception())
        signal.raise_signal(signal.SIGTERM)


async def ready(
    response: Response, reconciler: cards.ReconcilerDependency, anonymous: AnonymousDependency
) -> BundleStatus | JSONResponse:
    """Return 200 if every model of the desired state has a READY worker that passed a canary, else 503 and why.

    Callers without an access key, where one is needed, learn no more than that.
    """
    status = await reconciler.status()
    response.status_code = 200 if status.ready else 503
    return JSONResponse({"ready": status.ready}, response.status_code) if anonymous else status


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
    application.state.reconciler = reconciler
    for kind, handler in exception_handlers.HANDLERS.items():
        application.add_exception_handler(kind, handler)
    unready: dict[int | str, dict[str, Any]] = {503: {"model": BundleStatus}}
    application.add_api_route("/ready", ready, response_model=BundleStatus, responses=unready, tags=["readiness"])
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


def main() -> None:
    """Serve the app on the loopback address until a signal comes."""
    settings = Settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-5s %(name)s - %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # No access log: Envoy's has every request already.
    uvicorn.run(app(settings), host=LOOPBACK, port=settings.control_port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
