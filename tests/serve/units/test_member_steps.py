"""A version of a model step by step: registered, proven by a canary, scaled, retired."""

import asyncio
import os
import subprocess
import sys

import httpx
import pytest

from serving import desired, drain, member, no_wait, worker_log
from serving.desired import Desired, Model, Version
from serving.gateway import Gateway
from serving.management import Keys, TorchServe
from serving.member import Member
from serving.routes import HOLD_SECONDS
from serving.torchserve import classes
from serving.views import VersionView
from tests.serve.units.marfiles import mar
from tests.serve.units.world import World

DEADLINE = 20  # the world's responseTimeout


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(drain, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(worker_log, "SETTLE_SECONDS", 0.001)
    monkeypatch.setattr(worker_log, "PATIENCE_SECONDS", 0.002)


@pytest.fixture
def world(settings, network) -> World:
    made = World(settings)
    made.start()
    (settings.envoy / "cds.json").write_text('{"version_info": ""}')
    network.handler = made
    return made


@pytest.fixture
def now(monkeypatch) -> list[float]:
    """What is added to the time, in a list that a test may change."""
    import time

    added, monotonic = [0.0], time.monotonic
    monkeypatch.setattr(member.time, "monotonic", lambda: monotonic() + added[0])
    return added


class Steps:
    """A member in its world, and the ticks that the fleet would give it."""

    def __init__(self, world: World, workers: int = 1, **archive) -> None:
        mar(world.settings, "cat", **archive)
        self.world = world
        wanted = Version(archive="cat-1.0.mar", workers=workers)
        self.member = Member(world.settings, "cat", "1.0", wanted)
        desired.save(world.settings, Desired(models={"cat": Model(default="1.0", versions={"1.0": wanted})}))
        self.torchserve = TorchServe(world.settings, Keys(inference="i1", management="m1"))
        self.gateway = Gateway(world.settings)
        self.states: list[str] = []

    async def tick(self, proceed: bool = False) -> None:
        """Observe, proceed if Envoy has the routes, and let the errand run."""
        described = (await self.torchserve.describe("cat")).get("1.0")
        self.member.observe(described, self.torchserve)
        self.states.append(self.member.state)
        if proceed:
            self.member.proceed(self.torchserve, self.gateway)
        for _ in range(5000):
            if not self.member._errand.busy:
                break
            await asyncio.sleep(0.001)

    async def ticks(self, count: int) -> None:
        for _ in range(count):
            await self.tick()


def run(world: World, scenario, **kind) -> Steps:
    async def play() -> Steps:
        steps = Steps(world, **kind)
        await scenario(steps)
        return steps

    return asyncio.run(play())


def test_a_version_is_registered_then_proven_then_ready(world):
    async def scenario(steps: Steps) -> None:
        assert (steps.member.state, steps.member.reason) == ("waiting", "TorchServe is starting")
        assert str(steps.member) == "cat 1.0"
        assert steps.member.view == VersionView(0, (503, "cat 1.0 is not ready: TorchServe is starting"))
        assert not steps.member.settled
        await steps.tick()
        assert (steps.member.state, steps.member.reason) == ("loading", "its worker is loading")
        described = (await steps.torchserve.describe("cat"))["1.0"]
        steps.member.observe(described, steps.torchserve)
        assert (steps.member.state, steps.member.reason) == ("checking", "its canary was not answered yet")
        assert steps.member.view == VersionView(20, (503, "cat 1.0 is not ready: its canary was not answered yet"))
        assert not steps.member.status.ready
        assert steps.member.status.canary is None
        await steps.ticks(2)

    steps = run(world, scenario)
    assert world.calls == ["POST /models initial_workers=1 synchronous=false url=cat-1.0.mar"]
    assert world.canaries == ['/predictions/cat/1.0 {"canary": true}']
    assert steps.member.view == VersionView(20)
    status = steps.member.status
    assert (status.ready, status.state, status.reason, status.canary) == (True, "ready", None, "answered")
    assert [worker.pid for worker in status.workers] == [os.getpid()]
    assert steps.member.settled


def test_the_canary_may_take_as_long_as_any_request(world, network):
    run(world, lambda steps: steps.ticks(3))
    (canary,) = [request for request in network.requests if "predictions" in request.url.path]
    assert canary.extensions["timeout"]["read"] == DEADLINE + 5


@pytest.mark.parametrize(
    ("delay", "patched", "parameter"), [(1, True, True), (1, False, False), (2, True, False), (0, True, False)]
)
def test_only_the_shortest_delay_is_taken_away_where_torchserve_can(world, delay, patched, parameter):
    if patched:
        file = classes(world.settings) / no_wait.CHANGE.member
        file.parent.mkdir(parents=True)
        file.touch()
    run(world, lambda steps: steps.ticks(1), **{"model-config__yaml": f"maxBatchDelay: {delay}"})
    assert ("max_batch_delay=0" in world.calls[0]) is parameter


def test_an_archive_that_is_not_as_it_was_signed_is_refused_until_it_is_written_again(world):
    async def scenario(steps: Steps) -> None:
        path = steps.member.archive.path
        good = path.read_bytes()
        path.write_bytes(good + b"x")
        await steps.ticks(3)
        assert steps.member.state == "refused"
        assert steps.member.reason.startswith("cat-1.0.mar: the signature does not fit")
        assert not steps.member.settled
        path.write_bytes(good)
        os.utime(path, (2e9, 2e9))
        await steps.ticks(1)

    steps = run(world, scenario)
    assert steps.states == ["waiting", "refused", "refused", "refused"]
    assert steps.member.state == "loading"
    assert len(world.calls) == 1


def test_a_refused_archive_is_verified_once(world, monkeypatch):
    verified = []

    async def scenario(steps: Steps) -> None:
        steps.member.archive.path.write_bytes(b"x")
        monkeypatch.setattr(
            type(steps.member.archive),
            "verify",
            lambda it, key, verify=type(steps.member.archive).verify: (verified.append(key), verify(it, key)),
        )
        await steps.ticks(3)

    run(world, scenario)
    assert verified == [world.settings.public_key]


def test_a_canary_that_is_refused_fails_the_version_and_quotes_the_log(world):
    world.canary = httpx.Response(500, headers={"content-type": "application/json"})
    (world.settings.logs / "models.log").write_text("W-9000-cat_1.0-stdout - ValueError: no cat\n")

    async def scenario(steps: Steps) -> None:
        await steps.ticks(2)

    steps = run(world, scenario)
    assert steps.member.state == "failed"
    assert steps.member.reason == (
        "its canary was answered with 500 application/json; the last error in its log: "
        "ValueError: no cat (see logs/models.log)"
    )
    assert not steps.member.status.ready
    assert steps.member.status.canary is None


def test_a_version_that_was_proven_stays_ready_when_a_later_canary_fails(world):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        world.canary = httpx.Response(500)
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        try:
            world.pids = lambda index: [os.getpid(), child.pid][index]
            steps.member.wanted = Version(archive="cat-1.0.mar", workers=2)
            await steps.ticks(2)
            assert len(world.canaries) == 2
            assert (steps.member.state, steps.member.status.ready) == ("ready", True)
        finally:
            child.kill()
            child.wait()

    run(world, scenario)


def test_every_new_worker_is_proven(world):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            world.pids = lambda index: child.pid
            world.registered["cat"]["1.0"] = world.described("1.0", 1)
            await steps.ticks(1)
            assert (steps.member.state, len(world.canaries)) == ("ready", 2)
            await steps.ticks(1)
            assert len(world.canaries) == 2
            assert steps.member.settled
            child.kill()
        assert not steps.member.settled

    run(world, scenario)


def test_a_worker_that_is_not_ready_does_not_count(world):
    world.status = "LOADING"
    steps = run(world, lambda steps: steps.ticks(3))
    assert (steps.member.state, steps.member.reason) == ("loading", "its worker is loading")
    assert world.canaries == []


def test_a_proven_worker_that_died_is_followed_by_another(world):
    async def scenario(steps: Steps) -> None:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            world.pids = lambda index: child.pid
            await steps.ticks(3)
            assert steps.member.state == "ready"
            child.kill()
        await steps.ticks(2)

    steps = run(world, scenario)
    assert (steps.member.state, steps.member.reason) == ("loading", "its worker died, another is starting")
    assert steps.member.status.canary is None


def test_a_worker_that_dies_while_it_loads_fails_the_version(world):
    (world.settings.logs / "models.log").write_text("W-9000-cat_1.0-stdout - ValueError: no cat\n")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    world.pids, world.status = (lambda index: child.pid), "UNLOADING"
    steps = run(world, lambda steps: steps.ticks(2))
    assert steps.member.state == "failed"
    assert steps.member.reason == "its worker died while loading: ValueError: no cat (see logs/models.log)"


def test_a_worker_that_is_never_ready_fails_the_version_after_its_startup_timeout(world, now):
    world.status, world.pids = "LOADING", lambda index: -1

    async def scenario(steps: Steps) -> None:
        await steps.ticks(2)
        now[0] += 60 + 5 - 1
        await steps.ticks(1)
        assert steps.member.state == "loading"
        now[0] += 1.5
        await steps.ticks(1)
        assert (steps.member.state, steps.member.reason) == ("failed", "no worker was READY within 60 s")

    run(world, scenario)


def test_a_failed_version_is_started_once_more_when_torchserve_has_given_up(world, now, monkeypatch):
    world.status, world.pids = "LOADING", lambda index: -1

    async def scenario(steps: Steps) -> None:
        await steps.ticks(2)
        now[0] += 66
        await steps.ticks(1)
        assert steps.member.state == "failed"
        now[0] += 300 + 29.5
        await steps.ticks(1)
        assert steps.member.state == "failed"
        del world.calls[:]
        now[0] += 1
        await steps.ticks(1)
        assert (steps.member.state, steps.member.reason) == ("loading", "its worker is starting once more")

    run(world, scenario)
    assert world.calls == [
        "PUT /models/cat/1.0 max_worker=0 min_worker=0 synchronous=false",
        "PUT /models/cat/1.0 max_worker=1 min_worker=1 synchronous=false",
    ]


def test_more_workers_are_scaled_up_at_once(world):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        steps.member.wanted = Version(archive="cat-1.0.mar", workers=3)
        assert not steps.member.settled
        await steps.ticks(2)
        assert len(steps.member.workers) == 3
        assert steps.member.settled

    run(world, scenario)
    assert world.calls[1:] == ["PUT /models/cat/1.0 max_worker=3 min_worker=3 synchronous=false"]


@pytest.fixture
def waits(monkeypatch) -> list[tuple]:
    """The waits for silence and for workers to go: what they were asked for."""
    found: list[tuple] = []
    quiet, shrink, unregister = drain.quiet, drain.shrink, drain.unregister

    def noted(name, function):
        async def note(_, *arguments):
            found.append((name, *arguments))
            await function(_, *arguments)

        return note

    for name, function in (("quiet", quiet), ("shrink", shrink), ("unregister", unregister)):
        monkeypatch.setattr(drain, name, noted(name, function))
    return found


def test_fewer_workers_wait_for_the_requests_in_flight(world, waits):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        steps.member.wanted = Version(archive="cat-1.0.mar", workers=1)
        world.registered["cat"]["1.0"] = world.described("1.0", 3)
        await steps.ticks(1)  # Envoy has not the routes yet
        assert steps.member.view == VersionView(DEADLINE, hold=True)
        assert len(world.calls) == 1
        world.in_flight = [2, 0, 0]
        await steps.tick(proceed=True)
        assert steps.member.view == VersionView(DEADLINE)
        await steps.tick(proceed=True)
        assert len(steps.member.workers) == 1

    run(world, scenario)
    shrunk = "PUT /models/cat/1.0 max_worker=1 min_worker=1 synchronous=false"
    assert world.calls[1:] == ["in flight 2", "in flight 0", "in flight 0", shrunk]
    assert waits == [("quiet", "cat", "1.0", HOLD_SECONDS), ("shrink", "cat", "1.0", 1, DEADLINE + 5)]


def test_no_workers_at_all_wait_as_long_as_a_request_may_take(world, waits):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        steps.member.wanted = Version(archive="cat-1.0.mar", workers=0)
        await steps.ticks(1)
        assert (steps.member.state, steps.member.reason) == ("stopped", "it is scaled to 0 workers")
        assert steps.member.view == VersionView(DEADLINE, (503, "cat 1.0 is not ready: it is scaled to 0 workers"))
        await steps.tick(proceed=True)
        await steps.tick(proceed=True)
        assert steps.member.settled
        assert steps.member.workers == []

    run(world, scenario)
    assert waits == [("quiet", "cat", "1.0", DEADLINE + 5), ("shrink", "cat", "1.0", 0, DEADLINE + 5)]


def test_a_stopped_version_that_is_scaled_up_again_is_loading_not_died(world):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        steps.member.wanted = Version(archive="cat-1.0.mar", workers=0)
        await steps.tick(proceed=True)
        await steps.tick(proceed=True)
        steps.member.wanted = Version(archive="cat-1.0.mar", workers=1)
        world.status = "LOADING"
        await steps.ticks(2)
        assert (steps.member.state, steps.member.reason) == ("loading", "its worker is loading")

    run(world, scenario)


def test_a_version_is_retired_when_its_last_request_is_answered(world, waits):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        steps.member.wanted = Version(archive="cat-1.0.mar", workers=1, retiring=True)
        await steps.ticks(2)
        assert (steps.member.state, steps.member.reason) == (
            "retiring",
            "no new requests; those in flight are waited for",
        )
        assert steps.member.view == VersionView(DEADLINE, (404, "cat 1.0 was retired"))
        assert not steps.member.settled
        assert len(world.calls) == 1
        world.in_flight = [1, 0, 0]
        await steps.tick(proceed=True)

    run(world, scenario)
    assert world.calls[1:] == [
        *("in flight 1", "in flight 0", "in flight 0"),
        "PUT /models/cat/1.0 max_worker=0 min_worker=0 synchronous=false",
        "DELETE /models/cat/1.0",
    ]
    assert waits[:2] == [("quiet", "cat", "1.0", DEADLINE + 5), ("unregister", "cat", "1.0", DEADLINE + 5)]
    assert desired.load(world.settings).models == {}


def test_a_ready_version_is_asked_once_more_on_demand(world):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        assert await steps.member.prove(steps.torchserve) == "counting"
        assert len(world.canaries) == 2

    run(world, scenario)


@pytest.mark.parametrize("card", [None, "{}"])
def test_the_task_of_a_foreign_archive_is_unknown(world, card):
    async def scenario(steps: Steps) -> None:
        assert await steps.member.prove(steps.torchserve) == "unknown"

    run(world, scenario, card__json=card)


def test_a_stream_has_no_deadline_for_the_whole(world):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(1)
        world.registered["cat"]["1.0"]["continuousBatching"] = True
        await steps.ticks(2)
        assert steps.member.view == VersionView(DEADLINE, streams=True)
        steps.member.wanted = Version(archive="cat-1.0.mar", workers=1, retiring=True)
        await steps.ticks(1)
        assert steps.member.view.streams
        steps.member.wanted = Version(archive="cat-1.0.mar", workers=0)
        await steps.ticks(1)
        assert steps.member.view.streams

    run(world, scenario)
