"""The reconciler: its requests to TorchServe and Envoy, its status and route states."""

import asyncio
import os
import time

import pytest

from marina.errors import TorchServeError
from marina.serving.envoy.route_state import RouteExtension, VersionRouteState
from marina.serving.reconciler import desired_state, reconciler, status
from marina.serving.reconciler.desired_state import DesiredState
from marina.serving.reconciler.reconciler import Reconciler
from marina.serving.reconciler.status import ServerStatus
from marina.serving.torchserve import process
from tests.serving.reconciler.passes import passes, store_desired

pytestmark = pytest.mark.usefixtures("quick_polls")


def test_a_reconciler_registers_the_desired_state_and_is_ready_when_all_versions_are(settings, servers):
    store_desired(settings, cat=["1.0", "2.0"], dog=["1.0"])
    servers.start()

    async def use():
        found = Reconciler(settings)
        first = await found.status()
        assert (first.ready, first.torchserve.ready, first.envoy.ready) == (False, True, False)
        assert first.models["cat"].versions["1.0"].reason == "TorchServe is starting"
        return found, await passes(found)

    found, status = asyncio.run(use())
    assert status.ready
    assert (status.torchserve, status.envoy) == (ServerStatus(ready=True), ServerStatus(ready=True))
    assert {name: (model.ready, model.default) for name, model in status.models.items()} == {
        "cat": (True, "1.0"),
        "dog": (True, "1.0"),
    }
    assert list(status.models["cat"].versions) == ["1.0", "2.0"]
    assert {name: sorted(versions) for name, versions in servers.registered.items()} == {
        "cat": ["1.0", "2.0"],
        "dog": ["1.0"],
    }
    assert servers.defaults == {"cat": "1.0", "dog": "1.0"}
    assert sum("set-default" in call for call in servers.calls) == 2
    assert found.route_states()["cat"].default == "1.0"
    assert found.route_states()["cat"].versions == {"1.0": VersionRouteState(20), "2.0": VersionRouteState(20)}


@pytest.mark.parametrize("copy", [True, False], ids=["with a copy", "without one"])
def test_a_damaged_state_and_a_full_disk_are_named_and_end_no_service(settings, servers, copy, monkeypatch):
    store_desired(settings, cat=["1.0"])
    servers.start()

    async def use():
        found = Reconciler(settings)
        assert (await passes(found)).warnings == {}
        desired_state.state_file(settings).write_text("{")
        if not copy:
            desired_state.last_good_file(settings).unlink()
        monkeypatch.setattr(status, "MIN_FREE_BYTES", 2**80)
        return await passes(found, 2)

    found = asyncio.run(use())
    assert found.ready
    assert list(found.models) == ["cat"]
    assert list(found.warnings) == ["state_damaged", "low_disk"]
    assert "state/models.json can't be read" in found.warnings["state_damaged"]
    assert f"MB are free on the disk of {settings.var}" in found.warnings["low_disk"]


def test_a_changed_default_is_set_in_torchserve_once(settings, servers):
    store_desired(settings, cat=["1.0", "2.0"])
    servers.start()

    async def use() -> None:
        found = Reconciler(settings)
        await passes(found)
        with desired_state.change(settings) as desired:
            desired.set_default("cat", "2.0")
        assert (await passes(found, 3)).models["cat"].default == "2.0"

    asyncio.run(use())
    assert [call for call in servers.calls if "default" in call] == [
        f"PUT /models/cat/{version}/set-default" for version in ("1.0", "2.0")
    ]


def test_a_settled_reconciler_rarely_polls_torchserves_models(settings, servers, network, monkeypatch):
    store_desired(settings, cat=["1.0"], dog=["1.0"])
    servers.start()
    added, monotonic = [0.0], time.monotonic
    monkeypatch.setattr(reconciler.time, "monotonic", lambda: monotonic() + added[0])

    def described() -> int:
        count = sum(line.endswith("/all") for line in network.lines)
        del network.requests[:]
        return count

    async def use() -> None:
        found = Reconciler(settings)
        await passes(found)
        described()
        await passes(found, 3)
        assert described() == 0
        added[0] += 5.5
        await passes(found, 3)
        assert described() == 2
        with desired_state.change(settings) as desired:
            desired.scale("cat", "1.0", 2)
        await passes(found, 1)
        assert described() == 1

    asyncio.run(use())


def test_nothing_is_ready_before_the_first_pass(settings):
    not_polled = ServerStatus(ready=False, reason="not looked at yet")
    status = Reconciler(settings)._status
    assert (status.ready, status.torchserve, status.envoy, status.models) == (False, not_polled, not_polled, {})


def test_a_version_removed_from_the_desired_state_is_dropped_and_its_task_cancelled(settings, servers):
    store_desired(settings, cat=["1.0"])
    servers.start()

    async def use() -> None:
        found = Reconciler(settings)
        await passes(found)
        (version,) = found._versions.values()
        version._task.begin(asyncio.Event().wait())
        desired_state.save(settings, DesiredState())
        assert (await found.status()).models == {}
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not version._task.busy

    asyncio.run(use())


def test_versions_without_workers_and_retiring_ones_do_not_count_for_readiness(settings, servers):
    store_desired(settings, cat=["1.0", "2.0", "3.0"])
    with desired_state.change(settings) as desired:
        desired.scale("cat", "2.0", 0)
        desired.retire("cat", "3.0")
    servers.start()
    status = asyncio.run(passes(Reconciler(settings), 3))
    assert status.ready
    assert status.models["cat"].ready
    assert {version: it.ready for version, it in status.models["cat"].versions.items()} == {"1.0": True, "2.0": False}


def test_a_route_extension_is_called_with_the_route_states_of_this_pass(settings, servers):
    store_desired(settings, cat=["1.0"])
    servers.start()
    calls = []

    def extend_routes(models) -> RouteExtension:
        calls.append(dict(models))
        return RouteExtension(inner=[{"number": len(calls)}])

    async def use() -> None:
        found = Reconciler(settings, extend_routes)
        await passes(found, 3)
        assert calls[-1] == found.route_states()
        assert f'"number": {len(calls)}' in (settings.envoy / "inner.json").read_text()

    asyncio.run(use())


def test_route_states_include_the_other_nodes(settings, servers):
    store_desired(settings, cat=["1.0"])
    shared = settings.model_copy(update={"nodes": "10.0.0.2:8000"})
    found = Reconciler(shared)
    found._peers._ready["10.0.0.2:8000"] = frozenset({("cat", "1.0")})

    async def use():
        await found.status()
        return found.route_states()["cat"].versions["1.0"]

    state = asyncio.run(use())
    assert (state.ready_peers, state.has_peers) == (frozenset({"10.0.0.2:8000"}), True)
    assert state.deadline == process.default_timeout(settings)


def test_a_ready_version_is_probed_and_another_is_refused_with_the_reason(settings, servers):
    store_desired(settings, cat=["1.0"])

    async def use() -> None:
        found = Reconciler(settings)
        for missing in (("cat", "1.0"), ("cat", "2.0"), ("dog", "1.0")):
            with pytest.raises(TorchServeError, match=r"^it is not served: `make register`$"):
                await found.probe(*missing)
        servers.start()
        with pytest.raises(TorchServeError, match=r"^it is not ready: "):
            await found.probe("cat", "1.0")
        await passes(found)
        del servers.canaries[:]
        assert await found.probe("cat", "1.0") == "counting"
        assert len(servers.canaries) == 1
        for missing in (("cat", "2.0"), ("dog", "1.0")):
            with pytest.raises(TorchServeError, match=r"^it is not served: `make register`$"):
                await found.probe(*missing)

    asyncio.run(use())


def test_run_reconciles_until_it_is_cancelled_and_leaves_nothing_running(settings, servers, monkeypatch):
    store_desired(settings, cat=["1.0"])
    servers.start()
    monkeypatch.setattr(settings, "poll_seconds", 0.001)

    async def use() -> None:
        found = Reconciler(settings)
        task = asyncio.create_task(found.run())
        while not found._status.ready:
            await asyncio.sleep(0.001)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.gather(*others, return_exceptions=True)
        assert found._versions == {}
        assert found._gateway._admin.is_closed
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(use())
    assert os.getpid() in [worker["pid"] for worker in servers.registered["cat"]["1.0"]["workers"]]
