"""The database of the experiments, and what runs on it, as soon as it answers."""

import asyncio
import logging

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import State

from routing.database import connect
from routing.live import Live
from routing.pilot import Pilot
from routing.watch import Watch
from serving.fleet import Fleet
from serving.settings import Settings

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0


class Desk:
    """Sets `engine` and `pilot` in the app's state, which are None until then. Models are served without them, too."""

    def __init__(self, settings: Settings, live: Live, fleet: Fleet, state: State) -> None:
        self._settings, self._live, self._fleet, self._state = settings, live, fleet, state
        state.engine = state.pilot = None

    async def run(self) -> None:
        """Until cancelled."""
        engine = await self._connect()
        try:
            await asyncio.to_thread(self._live.refresh, engine)
            self._state.engine = engine
            self._state.pilot = Pilot(engine, self._live, self._fleet)
            await Watch(self._settings, engine, self._live, self._state.pilot).run()
        finally:
            engine.dispose()

    async def _connect(self) -> Engine:
        while True:
            try:
                return await asyncio.to_thread(connect, self._settings.database_url)
            except (SQLAlchemyError, ValueError, OSError) as fault:
                logger.error("experiments wait for their database: %s", fault)
                await asyncio.sleep(AGAIN_SECONDS)
