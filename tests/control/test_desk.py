"""The database of the experiments may come later than control."""

import asyncio
import logging
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from control import desk
from control.desk import Desk
from routing import history
from routing.live import Live
from tests.routing.fleet import StubFleet
from tests.routing.rows import state


@pytest.fixture
def table(database, settings, monkeypatch):
    """A desk on that database; `ran` are the watches that ran, `engine` is disposed of at the end."""
    ran, disposed, app = [], [], SimpleNamespace()
    live, fleet = Live(settings), StubFleet(settings)

    class Watch:
        def __init__(self, *arguments) -> None:
            self.arguments = arguments

        async def run(self) -> None:
            ran.append(self.arguments)

    monkeypatch.setattr(desk, "Watch", Watch)
    monkeypatch.setattr(desk, "connect", lambda url: urls.append(url) or database)
    monkeypatch.setattr(database, "dispose", lambda: disposed.append(True))
    urls: list[str] = []
    it = SimpleNamespace(
        desk=Desk(settings, live, fleet, app),
        app=app,
        ran=ran,
        urls=urls,
        disposed=disposed,
        live=live,
        fleet=fleet,
    )
    yield it
    monkeypatch.undo()


def test_what_runs_on_the_database_begins_when_it_answers(table, database, settings):
    assert (table.app.engine, table.app.pilot) == (None, None)
    history.append(database, state(a=90, b=10), "me", "create", "", after=0)
    asyncio.run(table.desk.run())
    assert table.urls == [settings.database_url]
    assert table.app.engine is database
    assert table.app.pilot.engine is database
    assert (table.app.pilot._live, table.app.pilot._fleet) == (table.live, table.fleet)
    assert table.ran == [(settings, database, table.live, table.app.pilot)]
    assert set(table.live.running) == {"e"}
    assert table.disposed == [True]


def test_it_is_tried_again_until_the_database_answers(table, database, monkeypatch, caplog):
    faults = [OperationalError("SELECT", {}, Exception("away")), ValueError("mysql"), OSError("read-only")]
    slept = []

    def connect(url: str):
        if faults:
            raise faults.pop(0)
        return database

    async def sleep(seconds: float) -> None:
        assert table.app.engine is None
        slept.append(seconds)

    monkeypatch.setattr(desk, "connect", connect)
    monkeypatch.setattr(desk, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
    with caplog.at_level(logging.ERROR):
        asyncio.run(table.desk.run())
    assert slept == [5, 5, 5]
    assert table.app.engine is database
    said = [record.getMessage() for record in caplog.records if record.name == "control.desk"]
    assert [text.partition(": ")[0] for text in said] == ["experiments wait for their database"] * 3
    assert said[1:] == [f"experiments wait for their database: {why}" for why in ("mysql", "read-only")]


def test_a_mistake_is_no_reason_to_wait(table, monkeypatch):
    def connect(url: str):
        raise TypeError(url)

    monkeypatch.setattr(desk, "connect", connect)
    with pytest.raises(TypeError):
        asyncio.run(table.desk.run())
