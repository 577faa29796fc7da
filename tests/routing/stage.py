"""A watch on a database, without servers."""

import asyncio
from types import SimpleNamespace

import pytest

from routing import history, watch
from routing.live import Live
from routing.tables import Exposure
from routing.watch import Watch
from serving.settings import Settings
from tests.routing.lines import NOW
from tests.routing.rows import put, request, state

GUARD = {"guard": {"errors": 0.01, "latency": 1.25}}
RAMP = {**GUARD, "ramp": {"steps": [5, 25, 100], "seconds": 300, "requests": 100}}
BANDIT = {"bandit": {"least": 5, "most": 95, "seconds": 300}}


class Stage:
    """A watch at `now` (seconds after NOW), and the changes that it asked for."""

    def __init__(self, database, settings: Settings, monkeypatch) -> None:
        self.engine, self.settings, self.monkeypatch = database, settings, monkeypatch
        self.now = 0.0
        self.live = Live(settings)
        self.weighed: list[tuple] = []
        self.fault: Exception | None = None
        self.watch = Watch(settings, database, self.live, self)
        monkeypatch.setattr(watch, "time", SimpleNamespace(time=lambda: NOW + self.now))
        monkeypatch.setattr(history, "time", SimpleNamespace(time=lambda: NOW + self.now))

    async def weigh(self, *order) -> None:
        """In place of the pilot's."""
        self.weighed.append(order)
        if self.fault:
            raise self.fault

    def start(self, name: str = "e", what: str = "create", more: dict | None = None, **weights: float) -> None:
        it = state(**weights)
        experiment = it.experiment.changed(name=name, **(more or {}))
        last = history.last(self.engine, name)
        after = last.id if last else 0
        it = it.model_copy(update={"experiment": experiment})
        history.append(self.engine, it, "me", what, "", after=after)

    def look(self, passes: int = 1) -> list[tuple]:
        """The changes that so many passes of the loop ask for."""
        self.weighed.clear()
        left = passes

        async def sleep(seconds: float) -> None:
            nonlocal left
            left -= seconds == watch.LOOK_SECONDS
            if not left:
                raise asyncio.CancelledError

        self.monkeypatch.setattr(watch, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(self.watch.run())
        return self.weighed


def requests(engine, variant: str, count: int, at: float = 100, **fields) -> None:
    put(
        engine,
        Exposure,
        *(request(f"{variant}-{at}-{number}-{fields}", variant, at, **fields) for number in range(count)),
    )
