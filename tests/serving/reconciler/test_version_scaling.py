"""A model version that is scaled, retired, probed, or streams."""

import pytest

from marina.serving.envoy.route_state import VersionRouteState
from marina.serving.envoy.routes import HOLD_SECONDS
from marina.serving.reconciler import background_tasks, desired_state
from marina.serving.reconciler.desired_state import VersionSpec
from tests.serving.reconciler.version_steps import DEADLINE, Steps, run

pytestmark = pytest.mark.usefixtures("quick_polls")


@pytest.fixture
def waits(monkeypatch) -> list[tuple]:
    """Calls of the functions that wait for idleness and for workers to end."""
    found: list[tuple] = []

    def noted(name, function):
        async def note(_, *arguments):
            found.append((name, *arguments))
            await function(_, *arguments)

        return note

    for name in ("wait_until_idle", "scale_down", "unregister"):
        monkeypatch.setattr(background_tasks, name, noted(name, getattr(background_tasks, name)))
    return found


def test_fewer_workers_wait_for_the_requests_in_flight(servers, waits):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        steps.version.spec = VersionSpec(archive="cat-1.0.mar", workers=1)
        servers.registered["cat"]["1.0"] = servers.described("1.0", 3)
        await steps.ticks(1)  # Envoy has not the routes yet
        assert steps.version.route_state == VersionRouteState(DEADLINE, hold=True)
        assert len(servers.calls) == 1
        servers.in_flight = [2, 0, 0]
        await steps.tick(applied=True)
        assert steps.version.route_state == VersionRouteState(DEADLINE)
        await steps.tick(applied=True)
        assert len(steps.version.workers) == 1

    run(servers, scenario)
    shrunk = "PUT /models/cat/1.0 max_worker=1 min_worker=1 synchronous=false"
    assert servers.calls[1:] == ["in flight 2", "in flight 0", "in flight 0", shrunk]
    assert waits == [("wait_until_idle", "cat", "1.0", HOLD_SECONDS), ("scale_down", "cat", "1.0", 1, DEADLINE + 5)]


def test_no_workers_at_all_wait_as_long_as_a_request_may_take(servers, waits):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        steps.version.spec = VersionSpec(archive="cat-1.0.mar", workers=0)
        await steps.ticks(1)
        assert (steps.version.state, steps.version.reason) == ("stopped", "it is scaled to 0 workers")
        assert steps.version.route_state == VersionRouteState(
            DEADLINE, (503, "cat 1.0 is not ready: it is scaled to 0 workers")
        )
        await steps.tick(applied=True)
        await steps.tick(applied=True)
        assert steps.version.settled
        assert steps.version.workers == []

    run(servers, scenario)
    assert waits == [("wait_until_idle", "cat", "1.0", DEADLINE + 5), ("scale_down", "cat", "1.0", 0, DEADLINE + 5)]


def test_a_stopped_version_that_is_scaled_up_again_is_loading_not_died(servers):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        steps.version.spec = VersionSpec(archive="cat-1.0.mar", workers=0)
        await steps.tick(applied=True)
        await steps.tick(applied=True)
        steps.version.spec = VersionSpec(archive="cat-1.0.mar", workers=1)
        servers.status = "LOADING"
        await steps.ticks(2)
        assert (steps.version.state, steps.version.reason) == ("loading", "its worker is loading")

    run(servers, scenario)


def test_a_version_is_retired_when_its_last_request_has_its_response(servers, waits):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        steps.version.spec = VersionSpec(archive="cat-1.0.mar", workers=1, retiring=True)
        await steps.ticks(2)
        assert (steps.version.state, steps.version.reason) == (
            "retiring",
            "no new requests; those in flight are waited for",
        )
        assert steps.version.route_state == VersionRouteState(DEADLINE, (404, "cat 1.0 was retired"))
        assert not steps.version.settled
        assert len(servers.calls) == 1
        servers.in_flight = [1, 0, 0]
        await steps.tick(applied=True)

    run(servers, scenario)
    assert servers.calls[1:] == [
        *("in flight 1", "in flight 0", "in flight 0"),
        "PUT /models/cat/1.0 max_worker=0 min_worker=0 synchronous=false",
        "DELETE /models/cat/1.0",
    ]
    assert waits[:2] == [("wait_until_idle", "cat", "1.0", DEADLINE + 5), ("unregister", "cat", "1.0", DEADLINE + 5)]
    assert desired_state.load(servers.settings).models == {}


def test_a_ready_version_is_probed_on_demand(servers):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(3)
        assert await steps.version.probe(steps.torchserve) == "counting"
        assert len(servers.canaries) == 2

    run(servers, scenario)


@pytest.mark.parametrize("card", [None, "{}"])
def test_the_task_of_a_foreign_archive_is_unknown(servers, card):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(1)
        assert await steps.version.probe(steps.torchserve) == "unknown"

    run(servers, scenario, card__json=card)


def test_a_stream_has_no_deadline_for_the_whole(servers):
    async def scenario(steps: Steps) -> None:
        await steps.ticks(1)
        servers.registered["cat"]["1.0"]["continuousBatching"] = True
        await steps.ticks(2)
        assert steps.version.route_state == VersionRouteState(DEADLINE, streams=True)
        steps.version.spec = VersionSpec(archive="cat-1.0.mar", workers=1, retiring=True)
        await steps.ticks(1)
        assert steps.version.route_state.streams
        steps.version.spec = VersionSpec(archive="cat-1.0.mar", workers=0)
        await steps.ticks(1)
        assert steps.version.route_state.streams

    run(servers, scenario)
