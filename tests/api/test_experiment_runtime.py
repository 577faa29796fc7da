"""Runtime of the experiments: their database may start later than control."""

import asyncio
import logging
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from marina.api import app as experiment_runtime
from marina.api.app import ExperimentRuntime
from marina.experiments import history
from marina.experiments.manager import StateCache
from tests.experiments.rows import state
from tests.experiments.stub_reconciler import StubReconciler


@pytest.fixture
def setup(database, settings, monkeypatch):
    """A runtime with that database; `ran` are the control loops that ran, `disposed` counts closed engines."""
    ran, disposed, app = [], [], SimpleNamespace()
    cache, reconciler = StateCache(settings), StubReconciler(settings)

    class ControlLoop:
        def __init__(self, *arguments) -> None:
            self.arguments = arguments

        async def run(self) -> None:
            ran.append(self.arguments)

    monkeypatch.setattr(experiment_runtime, "ControlLoop", ControlLoop)
    monkeypatch.setattr(experiment_runtime, "connect", lambda url: urls.append(url) or database)
    monkeypatch.setattr(database, "dispose", lambda: disposed.append(True))
    urls: list[str] = []
    it = SimpleNamespace(
        runtime=ExperimentRuntime(settings, cache, reconciler, app),
        app=app,
        ran=ran,
        urls=urls,
        disposed=disposed,
        cache=cache,
        reconciler=reconciler,
    )
    yield it
    monkeypatch.undo()


def test_the_control_loop_starts_when_the_database_responds(setup, database, settings):
    assert (setup.app.engine, setup.app.manager) == (None, None)
    history.append(database, state(a=90, b=10), "me", "create", "", after=0)
    asyncio.run(setup.runtime.run())
    assert setup.urls == [settings.database_url]
    assert setup.app.engine is database
    assert setup.app.manager.engine is database
    assert (setup.app.manager._cache, setup.app.manager._reconciler) == (setup.cache, setup.reconciler)
    assert setup.ran == [(settings, database, setup.cache, setup.app.manager)]
    assert set(setup.cache.running) == {"e"}
    assert setup.disposed == [True]


def test_connecting_is_retried_until_the_database_responds(setup, database, monkeypatch, caplog):
    errors = [OperationalError("SELECT", {}, Exception("away")), ValueError("mysql"), OSError("read-only")]
    slept = []

    def connect(url: str):
        if errors:
            raise errors.pop(0)
        return database

    async def sleep(seconds: float) -> None:
        assert setup.app.engine is None
        slept.append(seconds)

    monkeypatch.setattr(experiment_runtime, "connect", connect)
    monkeypatch.setattr(experiment_runtime, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
    with caplog.at_level(logging.ERROR):
        asyncio.run(setup.runtime.run())
    assert slept == [5, 5, 5]
    assert setup.app.engine is database
    messages = [record.getMessage() for record in caplog.records if record.name == "marina.api.app"]
    assert [text.partition(": ")[0] for text in messages] == ["experiments wait for their database"] * 3
    assert messages[1:] == [f"experiments wait for their database: {why}" for why in ("mysql", "read-only")]


def test_an_emptied_database_is_waited_for_and_named(setup, database, monkeypatch, caplog):
    setup.cache.update({"e": state(a=90, b=10)})

    async def sleep(seconds: float) -> None:
        assert "has lost e" in setup.cache.problem
        assert setup.app.manager is None
        history.append(database, state(a=90, b=10), "me", "create", "", after=0)  # restored

    monkeypatch.setattr(experiment_runtime, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
    with caplog.at_level(logging.ERROR):
        asyncio.run(setup.runtime.run())
    assert setup.app.engine is database
    assert setup.cache.problem is None
    assert "has lost e" in caplog.text


def test_a_programming_error_is_not_retried(setup, monkeypatch):
    def connect(url: str):
        raise TypeError(url)

    monkeypatch.setattr(experiment_runtime, "connect", connect)
    with pytest.raises(TypeError):
        asyncio.run(setup.runtime.run())
