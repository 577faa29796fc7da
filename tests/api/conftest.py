"""Fixtures: the app with a reconciler that needs no servers."""

import json
import zipfile

import pytest
from fastapi import FastAPI

import marina.api.app
from marina.experiments import history, manager
from marina.experiments.manager import ExperimentManager, StateCache
from marina.serving.envoy import gateway
from marina.serving.reconciler.desired_state import ModelSpec, VersionSpec
from marina.serving.reconciler.status import ModelStatus
from marina.settings import Settings
from tests.experiments.conftest import database as database
from tests.experiments.conftest import engine as engine
from tests.experiments.conftest import file as file
from tests.experiments.conftest import ingest as ingest
from tests.experiments.conftest import log as log
from tests.experiments.conftest import postgresql as postgresql
from tests.experiments.conftest import url as url
from tests.experiments.stub_reconciler import StubReconciler

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
    """Settings, with the keys that TorchServe writes."""
    settings = Settings(var=tmp_path / "var", store=tmp_path / "store")
    settings.run.mkdir(parents=True)
    settings.verified.mkdir()
    keys = {"inference": {"key": "inference-key"}, "management": {"key": "management-key"}}
    settings.key_file.write_text(json.dumps(keys))
    return settings


@pytest.fixture
def application(settings, monkeypatch) -> FastAPI:
    """`a` is served in versions 1.0 (the default) and 2.0, which has no card; `b` has a damaged archive."""
    monkeypatch.setattr(marina.api.app, "Reconciler", StubReconciler)
    monkeypatch.setattr(gateway, "validate", lambda *_: None)
    monkeypatch.setattr(manager, "POLL_SECONDS", 0)
    app = marina.api.app.app(settings)
    with zipfile.ZipFile(settings.verified / "a-1.0.mar", "w") as mar:
        mar.writestr("card.json", json.dumps(CARD))
        mar.writestr("example.json", '{"x": 1}')
    with zipfile.ZipFile(settings.verified / "a-2.0.mar", "w") as mar:
        mar.writestr("model.py", "")
    (settings.verified / "b-2.0.mar").write_bytes(b"no archive")
    versions = {version: VersionSpec(archive=f"a-{version}.mar") for version in ("1.0", "2.0")}
    app.state.reconciler.desired.models = {
        "a": ModelSpec(default="1.0", versions=versions),
        "b": ModelSpec(default="2.0", versions={"2.0": VersionSpec(archive="b-2.0.mar")}),
    }
    app.state.reconciler.models = {"a": ModelStatus(ready=True, default="1.0", versions={})}
    app.state.engine = app.state.manager = None
    return app


@pytest.fixture
def experimenting(application, database) -> FastAPI:
    """The app with a database."""
    reconciler = application.state.reconciler
    application.state.engine = database
    application.state.manager = ExperimentManager(database, StateCache(reconciler.settings), reconciler)
    assert history.current(database) == {}
    return application
