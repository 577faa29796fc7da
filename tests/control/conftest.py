"""The app with a fleet that needs no servers."""

import json
import zipfile

import pytest
from fastapi import FastAPI

import control.app
from routing import history, pilot
from routing.live import Live
from routing.pilot import Pilot
from serving import gateway
from serving.desired import Model, Version
from serving.settings import Settings
from serving.status import ModelStatus
from tests.routing.conftest import database as database
from tests.routing.fleet import StubFleet

CARD = {
    "api": {
        "request": {"application/json": {"schema": {"type": "object"}}},
        "reply": {"type": "array"},
        "explanation": {"type": "number"},
    },
    "example": {"file": "example.json", "content_type": "application/json"},
}


@pytest.fixture
def settings(tmp_path) -> Settings:
    """With the keys that TorchServe wrote."""
    settings = Settings(var=tmp_path / "var", store=tmp_path / "store")
    settings.run.mkdir(parents=True)
    settings.store.mkdir()
    keys = {"inference": {"key": "inference-key"}, "management": {"key": "management-key"}}
    settings.key_file.write_text(json.dumps(keys))
    return settings


@pytest.fixture
def application(settings, monkeypatch) -> FastAPI:
    """`a` is served in versions 1.0 (the default) and 2.0, which has no card; `b` has a damaged archive."""
    monkeypatch.setattr(control.app, "Fleet", StubFleet)
    monkeypatch.setattr(gateway, "validate", lambda *_: None)
    monkeypatch.setattr(pilot, "POLL_SECONDS", 0)
    app = control.app.app(settings)
    with zipfile.ZipFile(settings.store / "a-1.0.mar", "w") as mar:
        mar.writestr("card.json", json.dumps(CARD))
        mar.writestr("example.json", '{"x": 1}')
    with zipfile.ZipFile(settings.store / "a-2.0.mar", "w") as mar:
        mar.writestr("model.py", "")
    (settings.store / "b-2.0.mar").write_bytes(b"no archive")
    versions = {version: Version(archive=f"a-{version}.mar") for version in ("1.0", "2.0")}
    app.state.fleet.desired.models = {
        "a": Model(default="1.0", versions=versions),
        "b": Model(default="2.0", versions={"2.0": Version(archive="b-2.0.mar")}),
    }
    app.state.fleet.models = {"a": ModelStatus(ready=True, default="1.0", versions={})}
    app.state.engine = app.state.pilot = None
    return app


@pytest.fixture
def experimenting(application, database) -> FastAPI:
    """Its database answers."""
    fleet = application.state.fleet
    application.state.engine = database
    application.state.pilot = Pilot(database, Live(fleet.settings), fleet)
    assert history.current(database) == {}
    return application
