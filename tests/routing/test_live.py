"""Routing goes on without its database."""

import json

from routing import history
from routing.live import Live, file
from routing.render import overlay
from serving.settings import Settings
from serving.views import ModelView, VersionView
from tests.routing.rows import state

MODELS = {name: ModelView("1.0", {"1.0": VersionView(20)}) for name in "ab"}


def test_what_was_last_read_is_known_without_a_database(engine, tmp_path):
    settings = Settings(var=tmp_path)
    live = Live(settings)
    assert live.overlay(MODELS) == overlay([], MODELS)
    running = state(a=90, b=10)
    history.append(engine, running, "me", "create", "", after=0)
    live.refresh(engine)
    assert live.overlay(MODELS) == overlay([running], MODELS)
    assert Live(settings).states == {"e": running}  # control started anew, and the database is away
    history.append(engine, running.model_copy(update={"running": False}), "me", "stop", "", after=1)
    live.refresh(engine)
    assert live.running == {}
    assert Live(settings).running == {}


def test_the_file_is_written_when_something_has_changed(tmp_path):
    live = Live(Settings(var=tmp_path / "var"))
    kept = file(Settings(var=tmp_path / "var"))
    assert kept == tmp_path / "var" / "experiments.json"
    live.take({})
    assert not kept.exists()
    states = {"e": state(a=90, b=10), "f": state(a=50, b=50).model_copy(update={"running": False})}
    live.take(states)
    assert json.loads(kept.read_text())["e"] == states["e"].model_dump(mode="json")
    assert kept.read_text().startswith('{\n "e": {')
    assert (live.states, live.running) == (states, {"e": states["e"]})
    kept.unlink()
    live.take(dict(states))
    assert not kept.exists()
