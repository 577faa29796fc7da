"""The reconciler without TorchServe or Envoy, after a restart of one, and after its own."""

import asyncio

import httpx
import pytest

from marina.serving.reconciler import desired_state, reconciler
from marina.serving.reconciler.reconciler import Reconciler
from marina.serving.reconciler.status import ServerStatus
from tests.serving.fake_servers import FakeServers
from tests.serving.reconciler.passes import passes, store_desired

pytestmark = pytest.mark.usefixtures("quick_polls")
NO_TORCHSERVE = ServerStatus(ready=False, reason="TorchServe is not running")


def test_without_torchserve_nothing_is_ready_and_models_are_closed(settings, servers, network):
    store_desired(settings, cat=["1.0"])

    async def use():
        found = Reconciler(settings)
        status = await found.status()
        assert status.torchserve == NO_TORCHSERVE
        assert found.route_states()["cat"].versions["1.0"].closed[0] == 503
        servers.start()
        servers.up = False
        return await found.status()

    status = asyncio.run(use())
    assert (status.ready, status.torchserve, status.envoy.ready) == (False, NO_TORCHSERVE, True)
    assert not (settings.envoy / "sds.json").exists()


def test_without_envoy_nothing_is_ready_and_no_worker_is_removed(settings, servers):
    store_desired(settings, cat=["1.0"])
    servers.start()

    async def use():
        found = Reconciler(settings)
        await passes(found)
        servers.envoy = False
        del servers.calls[:]
        with desired_state.change(settings) as desired:
            desired.retire("cat", "1.0")
        status = await passes(found, 3)
        assert status.envoy == ServerStatus(ready=False, reason="Envoy is not running")
        assert (status.ready, status.models["cat"].versions["1.0"].state) == (False, "retiring")
        assert servers.calls == []
        servers.envoy = True
        return await passes(found, 4)

    status = asyncio.run(use())
    assert (status.ready, status.models) == (True, {})
    assert servers.registered["cat"] == {}


def test_an_envoy_without_the_latest_routes_is_not_ready(settings, servers, monkeypatch):
    servers.start()

    async def old(gateway, versions) -> bool:
        return False

    monkeypatch.setattr(reconciler.Gateway, "applied", old)
    status = asyncio.run(Reconciler(settings).status())
    assert (status.ready, status.envoy) == (
        False,
        ServerStatus(ready=False, reason="Envoy has not taken the latest routes yet"),
    )


def test_a_silent_torchserve_keeps_its_models(settings, servers, monkeypatch):
    store_desired(settings, cat=["1.0"])
    servers.start()

    async def use():
        found = Reconciler(settings)
        await passes(found)
        monkeypatch.setattr(servers, "_inference", lambda request: httpx.Response(500))
        del servers.calls[:]
        return await passes(found, 2)

    status = asyncio.run(use())
    reason = "TorchServe takes connections but does not answer"
    assert (status.ready, status.torchserve) == (False, ServerStatus(ready=False, reason=reason))
    assert status.models["cat"].ready
    assert servers.calls == []


def test_a_torchserve_that_was_restarted_gets_every_model_again(settings, servers):
    store_desired(settings, cat=["1.0"])
    servers.start()

    async def use():
        found = Reconciler(settings)
        await passes(found)
        servers.start(key="2")
        first = await found.status()
        assert not first.models["cat"].ready
        return await passes(found)

    status = asyncio.run(use())
    assert status.ready
    assert servers.calls.count("PUT /models/cat/1.0/set-default") == 2
    assert sum(call.startswith("POST") for call in servers.calls) == 2


def test_a_torchserve_that_is_down_takes_its_models_along(settings, servers):
    store_desired(settings, cat=["1.0"])
    servers.start()

    async def use():
        found = Reconciler(settings)
        await passes(found)
        servers.up = False
        status = await found.status()
        assert (status.models["cat"].ready, status.models["cat"].versions["1.0"].state) == (False, "waiting")

    asyncio.run(use())


def test_a_model_that_torchserve_refuses_to_describe_harms_no_other(settings, servers):
    store_desired(settings, cat=["1.0"], dog=["1.0"])
    servers.start()
    management = servers._management

    def refusing(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500) if "cat" in request.url.path else management(request)

    servers._management = refusing
    status = asyncio.run(passes(Reconciler(settings)))
    assert {name: model.ready for name, model in status.models.items()} == {"cat": False, "dog": True}
    assert not status.ready


@pytest.fixture
def running_before(settings, servers) -> FakeServers:
    """A TorchServe that has a model, and Envoy with the routes that an earlier control published."""
    store_desired(settings, cat=["1.0"])
    servers.start()
    asyncio.run(passes(Reconciler(settings)))
    return servers


def test_a_new_control_leaves_the_routes_until_every_model_has_responded(settings, running_before, monkeypatch):
    before = (settings.envoy / "rds.json").stat().st_ino

    async def use():
        found, answered = Reconciler(settings), asyncio.Event()

        async def send(*_) -> str:
            await answered.wait()
            return "answered"

        monkeypatch.setattr("marina.serving.reconciler.background_tasks.send_canary", send)
        first = await found.status()
        answered.set()
        assert first.envoy == ServerStatus(ready=False, reason="control was restarted and has not seen every model yet")
        assert not first.ready
        return await passes(found, 2)

    status = asyncio.run(use())
    assert status.ready
    assert (settings.envoy / "rds.json").stat().st_ino == before, "a request would have been refused meanwhile"


def test_a_new_control_waits_no_longer_than_ten_seconds(settings, running_before, monkeypatch):
    added = [1000.0]
    monkeypatch.setattr(reconciler.time, "monotonic", lambda: added[0])
    monkeypatch.setattr("marina.serving.reconciler.background_tasks.send_canary", lambda *_: asyncio.Event().wait())

    async def use() -> None:
        found = Reconciler(settings)
        assert "restarted" in (await found.status()).envoy.reason
        added[0] += 9
        assert "restarted" in (await found.status()).envoy.reason
        added[0] += 1.5
        assert (await found.status()).envoy.ready
        added[0] -= 10
        assert (await found.status()).envoy.ready
        found._reset()

    asyncio.run(use())
