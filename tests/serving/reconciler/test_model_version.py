"""A model version step by step: registered, checked by a canary request, ready, failed."""

import os
import subprocess
import sys

import httpx
import pytest

from marina.serving.envoy.route_state import VersionRouteState
from marina.serving.reconciler.desired_state import VersionSpec
from marina.serving.reconciler.model_store import Archive
from marina.serving.torchserve import process
from marina.serving.torchserve.patches import BATCHING
from tests.serving.reconciler.version_steps import DEADLINE, Steps, run

pytestmark = pytest.mark.usefixtures("quick_polls")


def test_a_version_is_registered_then_checked_then_ready(servers):
    async def scenario(steps: Steps) -> None:
        assert (steps.version.state, steps.version.reason) == ("waiting", "TorchServe is starting")
        assert str(steps.version) == "cat 1.0"
        assert steps.version.route_state == VersionRouteState(0, (503, "cat 1.0 is not ready: TorchServe is starting"))
        assert not steps.version.settled
        await steps.tick()
        assert (steps.version.state, steps.version.reason) == ("loading", "its worker is loading")
        described = (await steps.torchserve.describe("cat"))["1.0"]
        steps.version.reconcile(described, steps.torchserve)
        assert (steps.version.state, steps.version.reason) == ("checking", "its canary was not answered yet")
        assert steps.version.route_state == VersionRouteState(
            20, (503, "cat 1.0 is not ready: its canary was not answered yet")
        )
        assert not steps.version.status.ready
        assert steps.version.status.canary is None
        await steps.ticks(2)

    steps = run(servers, scenario)
    assert servers.calls == ["POST /models initial_workers=1 synchronous=false url=cat-1.0.mar"]
    assert servers.canaries == ['/predictions/cat/1.0 {"canary": true}']
    assert steps.version.route_state == VersionRouteState(20)
    status = steps.version.status
    assert (status.ready, status.state, status.reason, status.canary) == (True, "ready", None, "answered")
    assert [worker.pid for worker in status.workers] == [os.getpid()]
    assert steps.version.settled


def test_the_canary_may_take_as_long_as_any_request(servers, network):
    run(servers, lambda steps: steps.ticks(3))
    (canary,) = [request for request in network.requests if "predictions" in request.url.path]
    assert canary.extensions["timeout"]["read"] == DEADLINE + 5


@pytest.mark.parametrize(
    ("delay", "patched", "parameter"), [(1, True, True), (1, False, False), (2, True, False), (0, True, False)]
)
def test_only_the_shortest_delay_is_removed_where_torchserve_is_patched(servers, delay, patched, parameter):
    if patched:
        file = process.classes_folder(servers.settings) / BATCHING.member
        file.parent.mkdir(parents=True)
        file.touch()
    run(servers, lambda steps: steps.ticks(1), **{"model-config__yaml": f"maxBatchDelay: {delay}"})
    assert ("max_batch_delay=0" in servers.calls[0]) is parameter


def test_an_archive_that_is_not_as_it_was_signed_is_refused_until_it_is_written_again(servers):
    async def scenario(steps: Steps) -> None:
        path = steps.version.source.path
        good = path.read_bytes()
        path.write_bytes(good + b"x")
        await steps.ticks(3)
        assert steps.version.state == "refused"
        assert steps.version.reason.startswith("cat-1.0.mar: signature mismatch")
        assert not steps.version.settled
        path.write_bytes(good)
        os.utime(path, (2e9, 2e9))
        await steps.ticks(1)

    steps = run(servers, scenario)
    assert steps.states == ["waiting", "refused", "refused", "refused"]
    assert steps.version.state == "loading"
    assert len(servers.calls) == 1


def test_a_refused_archive_is_verified_once(servers, monkeypatch):
    verified = []

    async def scenario(steps: Steps) -> None:
        steps.version.source.path.write_bytes(b"x")
        verify = Archive.verify
        monkeypatch.setattr(Archive, "verify", lambda it, key: (verified.append(key), verify(it, key)))
        await steps.ticks(3)

    run(servers, scenario)
    assert verified == [servers.settings.keys]


def test_a_canary_that_is_refused_fails_the_version_and_quotes_the_log(servers):
    servers.canary = httpx.Response(500, headers={"content-type": "application/json"})
    (servers.settings.logs / "models.log").write_text("W-9000-cat_1.0-stdout - ValueError: no cat\n")

    async def scenario(steps: Steps) -> None:
        await steps.ticks(2)

    steps = run(servers, scenario)
    assert steps.version.state == "failed"
    assert steps.version.reason == (
        "its canary was answered with 500 application/json; the last error in its log: "
        "ValueError: no cat (see logs/models.log)"
    )
    assert not steps.version.status.ready
    assert steps.version.status.canary is None


def test_a_version_that_was_checked_stays_ready_when_a_later_canary_fails(servers):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        servers.canary = httpx.Response(500)
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        try:
            servers.pids = lambda index: [os.getpid(), child.pid][index]
            steps.version.spec = VersionSpec(archive="cat-1.0.mar", workers=2)
            await steps.ticks(2)
            assert len(servers.canaries) == 2
            assert (steps.version.state, steps.version.status.ready) == ("ready", True)
        finally:
            child.kill()
            child.wait()

    run(servers, scenario)


def test_every_new_worker_is_checked(servers):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            servers.pids = lambda index: child.pid
            servers.registered["cat"]["1.0"] = servers.described("1.0", 1)
            await steps.ticks(1)
            assert (steps.version.state, len(servers.canaries)) == ("ready", 2)
            await steps.ticks(1)
            assert len(servers.canaries) == 2
            assert steps.version.settled
            child.kill()
        assert not steps.version.settled

    run(servers, scenario)


def test_a_worker_that_is_not_ready_does_not_count(servers):
    servers.status = "LOADING"
    steps = run(servers, lambda steps: steps.ticks(3))
    assert (steps.version.state, steps.version.reason) == ("loading", "its worker is loading")
    assert servers.canaries == []


def test_a_checked_worker_that_died_is_followed_by_another(servers):
    async def scenario(steps: Steps) -> None:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            servers.pids = lambda index: child.pid
            await steps.ticks(3)
            assert steps.version.state == "ready"
            child.kill()
        await steps.ticks(2)

    steps = run(servers, scenario)
    assert (steps.version.state, steps.version.reason) == ("loading", "its worker died, another is starting")
    assert steps.version.status.canary is None


def test_a_worker_that_dies_while_it_loads_fails_the_version(servers):
    (servers.settings.logs / "models.log").write_text("W-9000-cat_1.0-stdout - ValueError: no cat\n")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    servers.pids, servers.status = (lambda index: child.pid), "UNLOADING"
    steps = run(servers, lambda steps: steps.ticks(2))
    assert steps.version.state == "failed"
    assert steps.version.reason == "its worker died while loading: ValueError: no cat (see logs/models.log)"


def test_a_worker_that_is_never_ready_fails_the_version_after_its_startup_timeout(servers, clock_offset):
    servers.status, servers.pids = "LOADING", lambda index: -1

    async def scenario(steps: Steps) -> None:
        await steps.ticks(2)
        clock_offset[0] += 60 + 5 - 1
        await steps.ticks(1)
        assert steps.version.state == "loading"
        clock_offset[0] += 1.5
        await steps.ticks(1)
        assert (steps.version.state, steps.version.reason) == ("failed", "no worker was READY within 60 s")

    run(servers, scenario)


def test_a_failed_version_is_started_once_more_when_torchserve_has_given_up(servers, clock_offset, monkeypatch):
    servers.status, servers.pids = "LOADING", lambda index: -1

    async def scenario(steps: Steps) -> None:
        await steps.ticks(2)
        clock_offset[0] += 66
        await steps.ticks(1)
        assert steps.version.state == "failed"
        clock_offset[0] += 300 + 29.5
        await steps.ticks(1)
        assert steps.version.state == "failed"
        del servers.calls[:]
        clock_offset[0] += 1
        await steps.ticks(1)
        assert (steps.version.state, steps.version.reason) == ("loading", "its worker is starting once more")

    run(servers, scenario)
    assert servers.calls == [
        "PUT /models/cat/1.0 max_worker=0 min_worker=0 synchronous=false",
        "PUT /models/cat/1.0 max_worker=1 min_worker=1 synchronous=false",
    ]


def test_more_workers_are_scaled_up_at_once(servers):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        steps.version.spec = VersionSpec(archive="cat-1.0.mar", workers=3)
        assert not steps.version.settled
        await steps.ticks(2)
        assert len(steps.version.workers) == 3
        assert steps.version.settled

    run(servers, scenario)
    assert servers.calls[1:] == ["PUT /models/cat/1.0 max_worker=3 min_worker=3 synchronous=false"]
