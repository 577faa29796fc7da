"""Client of a running bundle: its status, experiments that use a version, waiting and errors."""

import httpx
import pytest

from marina.cli import bundle_client
from marina.errors import MarinaError
from marina.serving.reconciler.status import ServerStatus
from tests.cli.bundle_status import status_of, version


def test_control_is_asked_for_the_status(settings, network):
    found = status_of({"1.0": version()})
    network.handler = lambda request: httpx.Response(503, json=found.model_dump())
    assert bundle_client.status(settings) == found
    assert network.lines == ["GET http://control/status"]
    assert network.requests[0].extensions["timeout"]["read"] == 30

    def gone(request):
        raise httpx.ConnectError("")

    network.handler = gone
    assert bundle_client.status(settings) is None


EXPERIMENTS = [
    {"experiment": "a", "variants": [{"name": "cat@1.0", "weight": 0, "role": "control"}]},
    {
        "experiment": "b",
        "variants": [{"name": "cat@2.0", "weight": 5, "role": "x"}, {"name": "cat@1.0", "weight": 0, "role": "x"}],
    },
    {"experiment": "c", "variants": [{"name": "cat@1.0", "weight": 1, "role": "x"}]},
]


def test_experiments_that_use_a_version(settings, network):
    network.handler = lambda request: httpx.Response(200, json=EXPERIMENTS)
    assert bundle_client.experiments_with(settings, "cat", "1.0") == []
    assert network.requests == []  # without keys there is no control
    settings.key_file.write_text('{"inference": {"key": "i"}, "management": {"key": "m"}}')
    assert bundle_client.experiments_with(settings, "cat", "1.0") == ["a", "c"]
    assert bundle_client.experiments_with(settings, "cat", "2.0") == ["b"]
    (request, _) = network.requests
    assert str(request.url) == "http://control/v1/experiments"
    assert request.headers["authorization"] == "Bearer m"
    network.handler = lambda request: httpx.Response(500, json=EXPERIMENTS)
    assert bundle_client.experiments_with(settings, "cat", "1.0") == []


def test_without_a_supervisor_nothing_is_running(settings):
    with pytest.raises(MarinaError, match=r"^nothing is running: `make serve` first$"):
        bundle_client.require_running(settings)


def test_until_it_is_done_and_envoy_knows(settings, running):
    done, not_yet = status_of({}), status_of({}, envoy=ServerStatus(ready=False))
    running.found = [None, done, not_yet, done]
    results = iter([False, True, True])
    bundle_client.wait_until(settings, "doing", lambda now: next(results))
    assert running.polls == 4


def test_until_time_is_out(settings, running):
    running.found = [None]
    short = settings.model_copy(update={"start_timeout": 0.01})
    with pytest.raises(MarinaError) as out:
        bundle_client.wait_until(short, "doing it", lambda now: True)
    assert str(out.value) == f"doing it: not done after 0.01 s, see {settings.logs}"
