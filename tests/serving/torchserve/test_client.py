"""Requests that our client sends to TorchServe, and what it makes of the responses."""

import asyncio
import json
import os
import subprocess
import sys

import httpx
import psutil
import pytest

from marina.errors import TorchServeError
from marina.serving.torchserve.client import Keys, TorchServe, VersionDescription, Worker

KEYS = Keys(inference="i-key", management="m-key")
DESCRIBED = {
    "modelVersion": "1.0",
    "minWorkers": 1,
    "maxWorkers": 2,
    "responseTimeout": 20,
    "startupTimeout": 60,
    "workers": [{"id": "9000", "status": "READY", "pid": 7, "memoryUsage": 3}],
}


def call(settings, method: str, *arguments, **more):
    """Call one method of a client; return what it returns."""

    async def run():
        async with TorchServe(settings, KEYS) as client:
            return await getattr(client, method)(*arguments, **more)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "arguments", "line", "parameters"),
    [
        ("describe", ("a b",), "GET /models/a%20b/all", {}),
        (
            "register",
            ("cat", "cat-1.0.mar", 2),
            "POST /models",
            {"url": "cat-1.0.mar", "initial_workers": "2", "synchronous": "false"},
        ),
        (
            "scale",
            ("a b", "1 0", 3),
            "PUT /models/a%20b/1%200",
            {"min_worker": "3", "max_worker": "3", "synchronous": "false"},
        ),
        ("set_default", ("a b", "1 0"), "PUT /models/a%20b/1%200/set-default", {}),
        ("unregister", ("a b", "1 0"), "DELETE /models/a%20b/1%200", {}),
    ],
)
def test_a_call_of_the_management_api(settings, network, method, arguments, line, parameters):
    network.handler = lambda request: httpx.Response(200, json=[])
    call(settings, method, *arguments)
    (request,) = network.requests
    assert f"{request.method} {request.url.raw_path.decode().partition('?')[0]}" == line
    assert dict(request.url.params) == parameters
    assert (request.url.scheme, request.url.host, request.url.port) == ("http", "127.0.0.1", settings.management_port)
    assert request.headers["authorization"] == "Bearer m-key"
    assert request.extensions["timeout"]["read"] == 30


def test_a_registration_may_change_settings_of_the_archive(settings, network):
    call(settings, "register", "cat", "cat-1.0.mar", 1, max_batch_delay=0)
    assert network.requests[0].url.params["max_batch_delay"] == "0"


def test_registered_already_is_no_error_but_another_refusal_is(settings, network):
    network.handler = lambda request: httpx.Response(409, json={"message": "it is there"})
    call(settings, "register", "cat", "cat-1.0.mar", 1)
    network.handler = lambda request: httpx.Response(400, json={"message": "broken"})
    with pytest.raises(TorchServeError, match=r"^TorchServe: broken \(400\)$") as refused:
        call(settings, "register", "cat", "cat-1.0.mar", 1)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (httpx.Response(500, text="plain"), "TorchServe: plain (500)"),
        (httpx.Response(500, json={"code": 1}), 'TorchServe: {"code":1} (500)'),
        (httpx.Response(503), "TorchServe: Service Unavailable (503)"),
    ],
)
def test_a_refusal_says_what_torchserve_said(settings, network, response, message):
    network.handler = lambda request: response
    with pytest.raises(TorchServeError) as refused:
        call(settings, "scale", "cat", "1.0", 1)
    assert str(refused.value) == message


def test_the_description_of_every_version(settings, network):
    network.handler = lambda request: httpx.Response(200, json=[DESCRIBED, {**DESCRIBED, "modelVersion": "2.0"}])
    found = call(settings, "describe", "cat")
    assert list(found) == ["1.0", "2.0"]
    assert found["1.0"].workers == [Worker(id="9000", status="READY", pid=7, memory_usage=3)]
    assert found["1.0"].max_retry_timeout_in_sec == 300
    assert found["1.0"] == VersionDescription.model_validate(DESCRIBED)


def test_a_model_that_is_not_registered_has_no_versions(settings, network):
    network.handler = lambda request: httpx.Response(404)
    assert call(settings, "describe", "cat") == {}
    network.handler = lambda request: httpx.Response(503)
    with pytest.raises(httpx.HTTPStatusError):
        call(settings, "describe", "cat")


def raising(error: Exception):
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    return handler


@pytest.mark.parametrize(
    ("handler", "liveness"),
    [
        (lambda request: httpx.Response(200), "up"),
        (lambda request: httpx.Response(500), "silent"),
        (raising(httpx.ReadTimeout("")), "silent"),
        (raising(httpx.ConnectError("")), "down"),
    ],
)
def test_liveness_tells_a_busy_torchserve_from_none(settings, network, handler, liveness):
    network.handler = handler
    assert call(settings, "alive") == liveness
    (request,) = network.requests
    assert (request.method, request.url.path) == ("OPTIONS", "/")
    assert request.extensions["timeout"]["read"] == 5


def test_a_prediction_has_the_inference_key_and_its_own_timeout(settings, network):
    network.handler = lambda request: httpx.Response(200, text="it is")
    response = call(settings, "predict", "a b", "1 0", b"body", "text/x", timeout=7)
    assert response.text == "it is"
    (request,) = network.requests
    assert (request.method, request.url.raw_path) == ("POST", b"/predictions/a%20b/1%200")
    assert request.url.port == settings.inference_port
    assert (request.content, request.headers["content-type"]) == (b"body", "text/x")
    assert request.headers["authorization"] == "Bearer i-key"
    assert request.extensions["timeout"]["read"] == 7


def test_a_client_opens_at_most_32_connections(settings, network):
    client = TorchServe(settings, KEYS)
    pools = [each._transport._pool for each in (client._inference, client._management)]
    assert [pool._max_connections for pool in pools] == [32, 32]


def test_a_closed_client_sends_nothing(settings, network):
    async def use() -> None:
        async with TorchServe(settings, KEYS) as client:
            pass
        for use in (client.alive(), client.describe("cat")):
            with pytest.raises(RuntimeError, match="closed"):
                await use

    asyncio.run(use())


def test_versions_of_one_model_are_unregistered_one_after_the_other(settings, network):
    """TorchServe loses one of two versions of a model that are changed at once."""
    running: list[str] = []

    async def slowly(transport, request: httpx.Request) -> httpx.Response:
        assert request.url.path not in running
        running.append(name := request.url.path.split("/")[2])
        assert running.count(name) == 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running.remove(name)
        return httpx.Response(200, request=request)

    async def use() -> int:
        async with TorchServe(settings, KEYS) as client:
            calls = [client.unregister("cat", "1.0"), client.unregister("cat", "2.0"), client.unregister("dog", "1.0")]
            return len(await asyncio.gather(*calls))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", slowly)
        assert asyncio.run(use()) == 3


def test_keys_are_read_once_they_are_whole(settings):
    assert Keys.read(settings) is None
    whole = json.dumps({"inference": {"key": "i"}, "management": {"key": "m"}, "API": {"key": "a"}})
    settings.key_file.write_text(whole[:20])
    assert Keys.read(settings) is None
    settings.key_file.write_text(whole)
    assert Keys.read(settings) == Keys(inference="i", management="m")


def test_a_worker_is_alive_while_its_process_is_and_no_zombie():
    assert Worker(id="1", status="READY", pid=os.getpid()).alive
    assert not Worker(id="1", status="READY", pid=-1).alive
    assert not Worker(id="1", status="READY").alive
    process = subprocess.Popen([sys.executable, "-c", ""])
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert not Worker(id="1", status="READY", pid=process.pid).alive
    process.wait()
    assert not Worker(id="1", status="READY", pid=process.pid).alive
