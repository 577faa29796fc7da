"""The canary request: the example of the card, and the responses that count."""

import asyncio

import httpx
import pytest

from marina.errors import TorchServeError
from marina.serving.reconciler import background_tasks
from marina.serving.reconciler.model_store import Archive
from marina.serving.torchserve.client import Keys, TorchServe
from tests.serving.archive_files import write_mar

JSON = {"content-type": "application/json; charset=utf-8"}


def send(settings, **members):
    archive = Archive("cat", "1.0", write_mar(settings, "cat", **members))

    async def run():
        async with TorchServe(settings, Keys(inference="i", management="m")) as client:
            return await background_tasks.send_canary(client, archive, 7.5)

    return asyncio.run(run())


def test_the_example_of_the_card_is_sent_and_answered(settings, network):
    network.handler = lambda request: httpx.Response(200, headers=JSON)
    assert send(settings) == "answered"
    (request,) = network.requests
    assert request.url.path == "/predictions/cat/1.0"
    assert (request.content, request.headers["content-type"]) == (b'{"canary": true}', "application/json")
    assert request.extensions["timeout"]["read"] == 7.5


def test_an_archive_without_an_example_gets_no_request(settings, network):
    assert send(settings, card__json="{}") == "none: the archive gives no example"
    assert network.requests == []


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (httpx.Response(500, headers=JSON), "its canary was answered with 500 application/json; charset=utf-8"),
        (httpx.Response(201, headers=JSON), "its canary was answered with 201 application/json; charset=utf-8"),
        (httpx.Response(200, headers={"content-type": "text/x"}), "its canary was answered with 200 text/x"),
        (httpx.Response(200), "its canary was answered with 200 None"),
    ],
)
def test_anything_but_200_with_json_is_refused(settings, network, response, why):
    network.handler = lambda request: response
    with pytest.raises(TorchServeError) as refused:
        send(settings)
    assert str(refused.value) == why


def test_a_timeout_is_refused(settings, network):
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("")

    network.handler = silent
    with pytest.raises(TorchServeError, match=r"^its canary was not answered within 7\.5 s$"):
        send(settings)
