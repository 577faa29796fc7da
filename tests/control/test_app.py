"""The app of control: readiness, its loops, and what it serves."""

import asyncio
import logging
import signal
from types import SimpleNamespace

import pytest

import control.app
from control import openapi
from control.app import end_with_it, served
from tests.control.conftest import CARD
from tests.routing.api import call


def test_ready_is_what_the_fleet_says(application):
    reply = call(application, "GET", "/ready")
    assert reply.status_code == 200
    assert reply.json()["models"]["a"] == {"ready": True, "default": "1.0", "versions": {}}
    application.state.fleet.slow = 99
    reply = call(application, "GET", "/ready")
    assert (reply.status_code, reply.json()["ready"], reply.json()["envoy"]["ready"]) == (503, False, False)


def test_the_description_has_every_model_in_its_default_version(application):
    assert served(application.state.fleet) == {
        "a": openapi.Served(["1.0", "2.0"], CARD["api"], (b'{"x": 1}', "application/json")),
        "b": openapi.Served(["2.0"], openapi.ANYTHING, None),
    }
    application.state.fleet.desired.models["a"].default = "2.0"
    assert served(application.state.fleet)["a"] == openapi.Served(["1.0", "2.0"], openapi.ANYTHING, None)


def test_the_openapi_document_is_made_for_what_is_served_now(application):
    document = call(application, "GET", "/openapi.json").json()
    assert document["info"] == {"title": "Marina", "description": openapi.ABOUT, "version": "1"}
    own = ("/ready", "/v1/models", "/v1/models/{name}/example", "/v1/experiments/{name}/weights", "/v1/feedback")
    assert {*own, "/predictions/a", "/explanations/b/{version}"} <= set(document["paths"])
    assert document["paths"]["/ready"]["get"]["tags"] == ["readiness"]
    ready = document["paths"]["/ready"]["get"]["responses"]
    assert list(ready) == ["200", "503"]
    for it in ready.values():
        assert it["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/BundleStatus"}
    del application.state.fleet.desired.models["a"]
    assert "/predictions/a" not in call(application, "GET", "/openapi.json").json()["paths"]


def test_the_page_of_the_api_needs_nothing_from_elsewhere(application):
    page = call(application, "GET", "/docs")
    assert page.status_code == 200
    assert "/docs/static/swagger-ui.css" in page.text
    assert "//cdn" not in page.text
    assert call(application, "GET", "/docs/static/swagger-ui.css").status_code == 200
    assert call(application, "GET", "/redoc").status_code == 404


def test_the_fleet_is_asked_what_experiments_route(application, settings):
    fleet = application.state.fleet
    assert fleet.settings is settings
    assert fleet.overlaying({}).matchers == []


def test_the_loops_run_as_long_as_the_app(application):
    async def start() -> tuple[bool, bool]:
        async with application.router.lifespan_context(application):
            while application.state.pilot is None:
                await asyncio.sleep(0.01)
            running = application.state.fleet.runs
        await asyncio.sleep(0.01)
        return running, application.state.fleet.runs

    assert asyncio.run(start()) == (True, False)


@pytest.mark.parametrize(
    ("fault", "ends"), [(RuntimeError("the loop is broken"), True), (None, True), ("cancel", False)]
)
def test_control_ends_with_its_loop(monkeypatch, caplog, fault, ends):
    raised = []
    monkeypatch.setattr(control.app, "signal", SimpleNamespace(raise_signal=raised.append, SIGTERM=signal.SIGTERM))

    async def loop() -> None:
        if fault == "cancel":
            raise asyncio.CancelledError
        if fault:
            raise fault

    async def run() -> None:
        task = asyncio.create_task(loop())
        await asyncio.wait([task])
        end_with_it(task)

    asyncio.run(run())
    assert raised == [signal.SIGTERM] * ends
    records = [(record.levelno, record.getMessage()) for record in caplog.records if record.name == "control.app"]
    assert records == [(logging.CRITICAL, "the loop failed")] * ends
    assert ("the loop is broken" in caplog.text) is isinstance(fault, RuntimeError)


@pytest.mark.parametrize("broken", ["Fleet", "Desk"])
def test_each_loop_is_watched(application, monkeypatch, broken):
    ended = []

    async def fail(*_) -> None:
        raise RuntimeError(broken)

    target = type(application.state.fleet) if broken == "Fleet" else control.app.Desk
    monkeypatch.setattr(target, "run", fail)

    async def start() -> None:
        async with application.router.lifespan_context(application):
            while not ended:
                await asyncio.sleep(0.01)

    monkeypatch.setattr(
        control.app, "end_with_it", lambda loop: ended.append(None if loop.cancelled() else loop.exception())
    )
    asyncio.run(start())
    assert str(ended[0]) == broken
