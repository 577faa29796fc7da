"""Control loop on a database, without servers."""

import asyncio
from types import SimpleNamespace

import pytest

from marina.experiments import control_loop, history
from marina.experiments.control_loop import ControlLoop
from marina.experiments.database import Exposure
from marina.experiments.manager import StateCache
from marina.settings import Settings
from tests.experiments.log_lines import NOW
from tests.experiments.rows import exposure_row, insert_rows, state

GUARD = {"guard": {"errors": 0.01, "latency": 1.25}}
RAMP = {**GUARD, "ramp": {"steps": [5, 25, 100], "seconds": 300, "requests": 100}}
BANDIT = {"bandit": {"least": 5, "most": 95, "seconds": 300}}


class LoopHarness:
    """A control loop at `now` (seconds after NOW), and the changes of weights that it requested."""

    def __init__(self, database, settings: Settings, monkeypatch) -> None:
        self.engine, self.settings, self.monkeypatch = database, settings, monkeypatch
        self.now = 0.0
        self.cache = StateCache(settings)
        self.with_weights: list[tuple] = []
        self.error: Exception | None = None
        self.loop = ControlLoop(settings, database, self.cache, self)
        monkeypatch.setattr(control_loop, "time", SimpleNamespace(time=lambda: NOW + self.now))
        monkeypatch.setattr(history, "time", SimpleNamespace(time=lambda: NOW + self.now))

    async def set_weights(self, *order) -> None:
        """Record the call, in place of the manager."""
        self.with_weights.append(order)
        if self.error:
            raise self.error

    def start(self, name: str = "e", what: str = "create", more: dict | None = None, **weights: float) -> None:
        it = state(**weights)
        experiment = it.experiment.with_fields(name=name, **(more or {}))
        last = history.last(self.engine, name)
        after = last.id if last else 0
        it = it.model_copy(update={"experiment": experiment})
        history.append(self.engine, it, "me", what, "", after=after)

    def run_passes(self, passes: int = 1) -> list[tuple]:
        """Run so many passes of the loop; return the changes that they requested."""
        self.with_weights.clear()
        left = passes

        async def sleep(seconds: float) -> None:
            nonlocal left
            left -= seconds == control_loop.LOOP_SECONDS
            if not left:
                raise asyncio.CancelledError

        self.monkeypatch.setattr(control_loop, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(self.loop.run())
        return self.with_weights


def requests(engine, variant: str, count: int, at: float = 100, **fields) -> None:
    insert_rows(
        engine,
        Exposure,
        *(exposure_row(f"{variant}-{at}-{number}-{fields}", variant, at, **fields) for number in range(count)),
    )
