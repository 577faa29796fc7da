"""The app of control: readiness, loops, OpenAPI document and page."""

import asyncio
import logging
import signal
from types import SimpleNamespace

import pytest

import marina.api.app
from marina.api import openapi
from marina.api.app import exit_on_failure, served_models
from tests.api.client import call
from tests.api.conftest import CARD


def test_ready_names_a_lost_database_although_models_are_served(application):
    application.state.experiment_states.problem = "the database of the experiments has lost e"
    response = call(application, "GET", "/ready")
    assert (response.status_code, response.json()["warnings"]) == (200, ["experiments_lost"])
    expected = {"experiments_lost": "the database of the experiments has lost e"}
    assert call(application, "GET", "/status").json()["warnings"] == expected


def test_status_is_that_of_the_reconciler(application):
    response = call(application, "GET", "/status")
    assert response.status_code == 200
    assert response.json()["models"]["a"] == {"ready": True, "default": "1.0", "versions": {}}
    application.state.reconciler.slow = 99
    response = call(application, "GET", "/status")
    assert (response.status_code, response.json()["ready"], response.json()["envoy"]["ready"]) == (503, False, False)


def test_ready_returns_no_more_than_what_is_ready(application):
    response = call(application, "GET", "/ready")
    assert (response.status_code, response.json().keys()) == (200, {"ready", "warnings", "models"})
    assert response.json()["models"]["a"] == {"ready": True, "default": "1.0", "versions": {}}
    application.state.reconciler.slow = 99
    response = call(application, "GET", "/ready")
    assert (response.status_code, response.json()["ready"]) == (503, False)


def test_the_description_has_every_model_in_its_default_version(application):
    assert served_models(application.state.reconciler) == {
        "a": openapi.ServedModel(["1.0", "2.0"], CARD["api"], (b'{"x": 1}', "application/json")),
        "b": openapi.ServedModel(["2.0"], openapi.UNKNOWN_API, None),
    }
    application.state.reconciler.desired.models["a"].default = "2.0"
    assert served_models(application.state.reconciler)["a"] == openapi.ServedModel(
        ["1.0", "2.0"], openapi.UNKNOWN_API, None
    )


def test_the_openapi_document_describes_the_models_served_now(application):
    document = call(application, "GET", "/openapi.json").json()
    assert document["info"] == {"title": "Marina", "description": openapi.DESCRIPTION, "version": "1"}
    own = ("/ready", "/v1/models", "/v1/models/{name}/example", "/v1/experiments/{name}/weights", "/v1/feedback")
    assert {*own, "/predictions/a", "/explanations/b/{version}"} <= set(document["paths"])
    assert document["paths"]["/ready"]["get"]["tags"] == ["readiness"]
    ready = document["paths"]["/ready"]["get"]["responses"]
    assert list(ready) == ["200", "503"]
    for it in ready.values():
        assert it["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/BundleReadiness"}
    del application.state.reconciler.desired.models["a"]
    assert "/predictions/a" not in call(application, "GET", "/openapi.json").json()["paths"]


def test_the_page_of_the_api_loads_nothing_from_elsewhere(application):
    page = call(application, "GET", "/docs")
    assert page.status_code == 200
    assert "/docs/static/swagger-ui.css" in page.text
    assert "//cdn" not in page.text
    assert call(application, "GET", "/docs/static/swagger-ui.css").status_code == 200
    assert call(application, "GET", "/redoc").status_code == 404


def test_the_reconciler_gets_the_routes_of_experiments(application, settings):
    reconciler = application.state.reconciler
    assert reconciler.settings is settings
    assert reconciler.extend_routes({}).matchers == []


def test_the_loops_run_as_long_as_the_app(application):
    async def start() -> tuple[bool, bool]:
        async with application.router.lifespan_context(application):
            while application.state.manager is None:
                await asyncio.sleep(0.01)
            running = application.state.reconciler.runs
        await asyncio.sleep(0.01)
        return running, application.state.reconciler.runs

    assert asyncio.run(start()) == (True, False)


@pytest.mark.parametrize(
    ("error", "ends"), [(RuntimeError("the loop is broken"), True), (None, True), ("cancel", False)]
)
def test_control_ends_with_its_loop(monkeypatch, caplog, error, ends):
    raised = []
    monkeypatch.setattr(marina.api.app, "signal", SimpleNamespace(raise_signal=raised.append, SIGTERM=signal.SIGTERM))

    async def loop() -> None:
        if error == "cancel":
            raise asyncio.CancelledError
        if error:
            raise error

    async def run() -> None:
        task = asyncio.create_task(loop())
        await asyncio.wait([task])
        exit_on_failure(task)

    asyncio.run(run())
    assert raised == [signal.SIGTERM] * ends
    records = [(record.levelno, record.getMessage()) for record in caplog.records if record.name == "marina.api.app"]
    assert records == [(logging.CRITICAL, "the loop failed")] * ends
    assert ("the loop is broken" in caplog.text) is isinstance(error, RuntimeError)


@pytest.mark.parametrize("broken", ["Reconciler", "Desk"])
def test_control_ends_with_either_loop(application, monkeypatch, broken):
    ended = []

    async def fail(*_) -> None:
        raise RuntimeError(broken)

    target = type(application.state.reconciler) if broken == "Reconciler" else marina.api.app.ExperimentRuntime
    monkeypatch.setattr(target, "run", fail)

    async def start() -> None:
        async with application.router.lifespan_context(application):
            while not ended:
                await asyncio.sleep(0.01)

    monkeypatch.setattr(
        marina.api.app, "exit_on_failure", lambda loop: ended.append(None if loop.cancelled() else loop.exception())
    )
    asyncio.run(start())
    assert str(ended[0]) == broken
