"""The fleet: what it asks TorchServe and Envoy for, and what it says of both."""

import asyncio
import os
import time

import httpx
import pytest

from serving import desired, drain, fleet, torchserve
from serving.desired import Desired, Model, Version
from serving.fleet import Fleet
from serving.management import RefusedError
from serving.overlay import Overlay
from serving.status import Part
from serving.views import VersionView
from tests.serve.units.marfiles import mar
from tests.serve.units.world import World

NO_TORCHSERVE = Part(ready=False, reason="TorchServe is not running")


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(drain, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(fleet, "APART_SECONDS", 0.0)


@pytest.fixture
def world(settings, network) -> World:
    network.handler = made = World(settings)
    return made


def want(settings, **models: list[str]) -> None:
    """Archives and desired state: the first version of each model is its default."""
    found = {}
    for name, versions in models.items():
        for version in versions:
            mar(settings, name, version)
        found[name] = Model(
            default=versions[0],
            versions={version: Version(archive=f"{name}-{version}.mar") for version in versions},
        )
    desired.save(settings, Desired(models=found))


async def looks(of: Fleet, count: int = 5):
    """That many looks, with time for what they begin; the last status."""
    for _ in range(count):
        status = await of.status()
        for _ in range(5000):
            if not any(member._errand.busy for member in of._members.values()):
                break
            await asyncio.sleep(0.001)
    return status


def test_a_fleet_registers_what_is_wanted_and_is_ready_when_all_of_it_is(settings, world):
    want(settings, cat=["1.0", "2.0"], dog=["1.0"])
    world.start()

    async def use():
        found = Fleet(settings)
        first = await found.status()
        assert (first.ready, first.torchserve.ready, first.envoy.ready) == (False, True, False)
        assert first.models["cat"].versions["1.0"].reason == "TorchServe is starting"
        return found, await looks(found)

    found, status = asyncio.run(use())
    assert status.ready
    assert (status.torchserve, status.envoy) == (Part(ready=True), Part(ready=True))
    assert {name: (model.ready, model.default) for name, model in status.models.items()} == {
        "cat": (True, "1.0"),
        "dog": (True, "1.0"),
    }
    assert list(status.models["cat"].versions) == ["1.0", "2.0"]
    assert {name: list(versions) for name, versions in world.registered.items()} == {
        "cat": ["1.0", "2.0"],
        "dog": ["1.0"],
    }
    assert world.defaults == {"cat": "1.0", "dog": "1.0"}
    assert sum("set-default" in call for call in world.calls) == 2
    assert found.views()["cat"].default == "1.0"
    assert found.views()["cat"].versions == {"1.0": VersionView(20), "2.0": VersionView(20)}


def test_a_default_that_changes_is_given_to_torchserve_once(settings, world):
    want(settings, cat=["1.0", "2.0"])
    world.start()

    async def use() -> None:
        found = Fleet(settings)
        await looks(found)
        with desired.change(settings) as wanted:
            wanted.set_default("cat", "2.0")
        assert (await looks(found, 3)).models["cat"].default == "2.0"

    asyncio.run(use())
    assert [call for call in world.calls if "default" in call] == [
        f"PUT /models/cat/{version}/set-default" for version in ("1.0", "2.0")
    ]


def test_a_settled_fleet_asks_torchserve_for_its_models_seldom(settings, world, network, monkeypatch):
    want(settings, cat=["1.0"], dog=["1.0"])
    world.start()
    added, monotonic = [0.0], time.monotonic
    monkeypatch.setattr(fleet.time, "monotonic", lambda: monotonic() + added[0])

    def described() -> int:
        count = sum(line.endswith("/all") for line in network.lines)
        del network.requests[:]
        return count

    async def use() -> None:
        found = Fleet(settings)
        await looks(found)
        described()
        await looks(found, 3)
        assert described() == 0
        added[0] += 5.5
        await looks(found, 3)
        assert described() == 2
        with desired.change(settings) as wanted:
            wanted.scale("cat", "1.0", 2)
        await looks(found, 1)
        assert described() == 1

    asyncio.run(use())


def test_without_torchserve_nothing_is_ready_and_models_are_closed(settings, world, network):
    want(settings, cat=["1.0"])

    async def use():
        found = Fleet(settings)
        status = await found.status()
        assert status.torchserve == NO_TORCHSERVE
        assert found.views()["cat"].versions["1.0"].closed[0] == 503
        world.start()
        world.up = False
        return await found.status()

    status = asyncio.run(use())
    assert (status.ready, status.torchserve, status.envoy.ready) == (False, NO_TORCHSERVE, True)
    assert not (settings.envoy / "sds.json").exists()


def test_before_the_first_look_nothing_is_known(settings):
    unseen = Part(ready=False, reason="not looked at yet")
    status = Fleet(settings)._status
    assert (status.ready, status.torchserve, status.envoy, status.models) == (False, unseen, unseen, {})


def test_without_envoy_nothing_is_ready_and_no_worker_is_taken_away(settings, world):
    want(settings, cat=["1.0"])
    world.start()

    async def use():
        found = Fleet(settings)
        await looks(found)
        world.envoy = False
        del world.calls[:]
        with desired.change(settings) as wanted:
            wanted.retire("cat", "1.0")
        status = await looks(found, 3)
        assert status.envoy == Part(ready=False, reason="Envoy is not running")
        assert (status.ready, status.models["cat"].versions["1.0"].state) == (False, "retiring")
        assert world.calls == []
        world.envoy = True
        return await looks(found, 4)

    status = asyncio.run(use())
    assert (status.ready, status.models) == (True, {})
    assert world.registered["cat"] == {}


def test_an_envoy_without_the_latest_routes_is_not_ready(settings, world, monkeypatch):
    world.start()

    async def old(gateway, versions) -> bool:
        return False

    monkeypatch.setattr(fleet.Gateway, "applied", old)
    status = asyncio.run(Fleet(settings).status())
    assert (status.ready, status.envoy) == (
        False,
        Part(ready=False, reason="Envoy has not taken the latest routes yet"),
    )


def test_a_silent_torchserve_keeps_its_models(settings, world, monkeypatch):
    want(settings, cat=["1.0"])
    world.start()

    async def use():
        found = Fleet(settings)
        await looks(found)
        monkeypatch.setattr(world, "_inference", lambda request: httpx.Response(500))
        del world.calls[:]
        return found, await looks(found, 2)

    found, status = asyncio.run(use())
    reason = "TorchServe takes connections but does not answer"
    assert (status.ready, status.torchserve) == (False, Part(ready=False, reason=reason))
    assert status.models["cat"].ready
    assert world.calls == []


def test_a_torchserve_that_was_restarted_gets_every_model_again(settings, world):
    want(settings, cat=["1.0"])
    world.start()

    async def use():
        found = Fleet(settings)
        await looks(found)
        world.start(key="2")
        first = await found.status()
        assert not first.models["cat"].ready
        return await looks(found)

    status = asyncio.run(use())
    assert status.ready
    assert world.calls.count("PUT /models/cat/1.0/set-default") == 2
    assert sum(call.startswith("POST") for call in world.calls) == 2


def test_a_torchserve_that_is_down_takes_its_models_along(settings, world):
    want(settings, cat=["1.0"])
    world.start()

    async def use():
        found = Fleet(settings)
        await looks(found)
        world.up = False
        status = await found.status()
        assert (status.models["cat"].ready, status.models["cat"].versions["1.0"].state) == (False, "waiting")

    asyncio.run(use())


def test_what_is_not_wanted_any_more_is_forgotten_and_its_work_cancelled(settings, world):
    want(settings, cat=["1.0"])
    world.start()

    async def use() -> None:
        found = Fleet(settings)
        await looks(found)
        (member,) = found._members.values()
        member._errand.begin(asyncio.Event().wait())
        desired.save(settings, Desired())
        assert (await found.status()).models == {}
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not member._errand.busy

    asyncio.run(use())


def test_a_model_that_torchserve_refuses_to_describe_harms_no_other(settings, world):
    want(settings, cat=["1.0"], dog=["1.0"])
    world.start()
    management = world._management

    def refusing(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500) if "cat" in request.url.path else management(request)

    world._management = refusing
    status = asyncio.run(looks(Fleet(settings)))
    assert {name: model.ready for name, model in status.models.items()} == {"cat": False, "dog": True}
    assert not status.ready


def test_versions_without_workers_and_retiring_ones_do_not_count_for_readiness(settings, world):
    want(settings, cat=["1.0", "2.0", "3.0"])
    with desired.change(settings) as wanted:
        wanted.scale("cat", "2.0", 0)
        wanted.retire("cat", "3.0")
    world.start()
    status = asyncio.run(looks(Fleet(settings), 3))
    assert status.ready
    assert status.models["cat"].ready
    assert {version: it.ready for version, it in status.models["cat"].versions.items()} == {"1.0": True, "2.0": False}


def test_an_overlay_is_asked_with_the_views_of_this_look(settings, world):
    want(settings, cat=["1.0"])
    world.start()
    asked = []

    def overlaying(models) -> Overlay:
        asked.append(dict(models))
        return Overlay(inner=[{"number": len(asked)}])

    async def use() -> None:
        found = Fleet(settings, overlaying)
        await looks(found, 3)
        assert asked[-1] == found.views()
        assert f'"number": {len(asked)}' in (settings.envoy / "inner.json").read_text()

    asyncio.run(use())


def test_views_know_the_other_nodes(settings, world):
    want(settings, cat=["1.0"])
    shared = settings.model_copy(update={"nodes": "10.0.0.2:8000"})
    found = Fleet(shared)
    found._peers._served["10.0.0.2:8000"] = frozenset({("cat", "1.0")})

    async def use():
        await found.status()
        return found.views()["cat"].versions["1.0"]

    view = asyncio.run(use())
    assert (view.elsewhere, view.several) == (frozenset({"10.0.0.2:8000"}), True)
    assert view.deadline == torchserve.seconds(settings)


def test_a_version_is_proven_where_it_is_ready_and_refused_with_the_reason_elsewhere(settings, world):
    want(settings, cat=["1.0"])

    async def use() -> None:
        found = Fleet(settings)
        for missing in (("cat", "1.0"), ("cat", "2.0"), ("dog", "1.0")):
            with pytest.raises(RefusedError, match=r"^it is not served: `make register`$"):
                await found.prove(*missing)
        world.start()
        with pytest.raises(RefusedError, match=r"^it is not ready: "):
            await found.prove("cat", "1.0")
        await looks(found)
        del world.canaries[:]
        assert await found.prove("cat", "1.0") == "counting"
        assert len(world.canaries) == 1
        for missing in (("cat", "2.0"), ("dog", "1.0")):
            with pytest.raises(RefusedError, match=r"^it is not served: `make register`$"):
                await found.prove(*missing)

    asyncio.run(use())


@pytest.fixture
def running_before(settings, world) -> World:
    """A TorchServe that has a model, and Envoy with the routes that an earlier control published."""
    want(settings, cat=["1.0"])
    world.start()
    asyncio.run(looks(Fleet(settings)))
    return world


def test_a_new_control_leaves_the_routes_until_it_has_seen_every_model(settings, running_before, monkeypatch):
    before = (settings.envoy / "rds.json").stat().st_ino

    async def use():
        found, answered = Fleet(settings), asyncio.Event()

        async def ask(*_) -> str:
            await answered.wait()
            return "answered"

        monkeypatch.setattr("serving.canary.ask", ask)
        first = await found.status()
        answered.set()
        assert first.envoy == Part(ready=False, reason="control was started anew and has not seen every model yet")
        assert not first.ready
        return await looks(found, 2)

    status = asyncio.run(use())
    assert status.ready
    assert (settings.envoy / "rds.json").stat().st_ino == before, "a request would have been refused meanwhile"


def test_a_new_control_waits_no_longer_than_ten_seconds(settings, running_before, monkeypatch):
    added = [1000.0]
    monkeypatch.setattr(fleet.time, "monotonic", lambda: added[0])
    monkeypatch.setattr("serving.canary.ask", lambda *_: asyncio.Event().wait())

    async def use() -> None:
        found = Fleet(settings)
        assert "anew" in (await found.status()).envoy.reason
        added[0] += 9
        assert "anew" in (await found.status()).envoy.reason
        added[0] += 1.5
        assert (await found.status()).envoy.ready
        added[0] -= 10
        assert (await found.status()).envoy.ready
        found._forget()

    asyncio.run(use())


def test_run_looks_until_it_is_cancelled_and_leaves_nothing_running(settings, world, monkeypatch):
    want(settings, cat=["1.0"])
    world.start()
    monkeypatch.setattr(settings, "poll_seconds", 0.001)

    async def use() -> None:
        found = Fleet(settings)
        task = asyncio.create_task(found.run())
        while not found._status.ready:
            await asyncio.sleep(0.001)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.gather(*others, return_exceptions=True)
        assert found._members == {}
        assert found._gateway._admin.is_closed
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(use())
    assert os.getpid() in [worker["pid"] for worker in world.registered["cat"]["1.0"]["workers"]]
