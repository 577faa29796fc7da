"""The state cache: routing works without the database."""

import json
import time

import pytest

from marina.errors import DatabaseReplacedError
from marina.experiments import history
from marina.experiments.feedback_token import signing_key
from marina.experiments.manager import StateCache, cache_file, key_file
from marina.experiments.routing.matcher_tree import route_extension
from marina.serving.envoy.route_state import ModelRouteState, VersionRouteState
from marina.settings import Settings
from tests.experiments.rows import state

MODELS = {name: ModelRouteState("1.0", {"1.0": VersionRouteState(20)}) for name in "ab"}


def test_the_last_state_is_available_without_a_database(engine, tmp_path):
    settings = Settings(var=tmp_path)
    cache = StateCache(settings)
    assert cache.route_extension(MODELS) == route_extension([], MODELS)
    running = state(a=90, b=10)
    history.append(engine, running, "me", "create", "", after=0)
    cache.refresh(engine)
    assert cache.key == signing_key(engine, time.time())
    assert cache.route_extension(MODELS) == route_extension([running], MODELS, cache.key)
    assert key_file(settings).stat().st_mode & 0o777 == 0o600
    restarted = StateCache(settings)  # and the database is down
    assert (restarted.states, restarted.key) == ({"e": running}, cache.key)
    history.append(engine, running.model_copy(update={"running": False}), "me", "stop", "", after=1)
    cache.refresh(engine)
    assert cache.running == {}
    assert StateCache(settings).running == {}


def test_the_file_is_written_when_something_has_changed(tmp_path):
    cache = StateCache(Settings(var=tmp_path / "var"))
    kept = cache_file(Settings(var=tmp_path / "var"))
    assert kept == tmp_path / "var" / "experiments.json"
    cache.update({})
    assert not kept.exists()
    states = {"e": state(a=90, b=10), "f": state(a=50, b=50).model_copy(update={"running": False})}
    cache.update(states)
    assert json.loads(kept.read_text())["e"] == states["e"].model_dump(mode="json")
    assert kept.read_text().startswith('{\n "e": {')
    assert (cache.states, cache.running) == (states, {"e": states["e"]})
    kept.unlink()
    cache.update(dict(states))
    assert not kept.exists()


def test_an_emptied_database_replaces_no_state_and_is_named_until_it_is_restored(database, tmp_path):
    cache = StateCache(Settings(var=tmp_path / "var"))
    states = {"e": state(a=90, b=10), "f": state(a=50, b=50)}
    cache.update(states)
    with pytest.raises(DatabaseReplacedError, match=r"has lost e, f: it was emptied or replaced\. Requests are routed"):
        cache.refresh(database)
    assert cache.states == StateCache(Settings(var=tmp_path / "var")).states == states
    assert "has lost e, f" in cache.problem
    history.append(database, state(a=90, b=10), "me", "create", "", after=0)
    with pytest.raises(DatabaseReplacedError, match="has lost f:"):
        cache.refresh(database)
    cache.update({"e": states["e"]})
    cache.refresh(database)
    assert cache.problem is None


def test_a_damaged_file_is_kept_under_another_name(tmp_path, caplog):
    kept = cache_file(Settings(var=tmp_path))
    kept.write_text('{"e": ')
    assert StateCache(Settings(var=tmp_path)).states == {}
    (damaged,) = tmp_path.glob("experiments.json.damaged-*")
    assert damaged.read_text() == '{"e": '
    assert damaged.name in caplog.text
