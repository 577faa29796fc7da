"""Peers: the versions that other nodes report as ready."""

import asyncio
import logging

import httpx
import pytest

from marina.serving.reconciler import status as node_status
from marina.serving.reconciler.status import Peers

READY = {
    "ready": False,
    "torchserve": {"ready": True},
    "envoy": {"ready": True},
    "models": {
        "cat": {"ready": False, "default": "1.0", "versions": {"1.0": {"ready": True}, "2.0": {"ready": False}}},
        "dog": {"ready": True, "default": "1.0", "versions": {"1.0": {"ready": True}}},
    },
}


@pytest.fixture
def of_two(settings):
    return settings.model_copy(update={"nodes": "10.0.0.2:8000,node-3:8001"})


async def poll(found: Peers, network, polls: int) -> None:
    """Poll until every peer has had that many requests."""
    task = asyncio.create_task(found.run())
    while len(network.requests) < 2 * polls and not task.done():
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_version_is_served_where_the_peer_reports_it(of_two, network, monkeypatch):
    monkeypatch.setattr(node_status, "PEER_POLL_SECONDS", 1.5)
    network.handler = lambda request: (
        httpx.Response(503, json=READY) if request.url.host == "node-3" else httpx.Response(200, text="?")
    )

    async def use() -> Peers:
        found = Peers(of_two)
        assert found.serving("cat", "1.0") == frozenset()
        await poll(found, network, 1)
        return found

    found = asyncio.run(use())
    assert network.lines == ["GET http://10.0.0.2:8000/ready", "GET http://node-3:8001/ready"]
    assert {request.extensions["timeout"]["read"] for request in network.requests} == {1.5}
    assert found.serving("cat", "1.0") == {"node-3:8001"}
    assert found.serving("dog", "1.0") == {"node-3:8001"}
    assert found.serving("cat", "2.0") == frozenset()
    assert found.serving("cow", "1.0") == frozenset()


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (httpx.ConnectError("refused"), "refused"),
        (httpx.ReadTimeout(""), "ReadTimeout"),
        (httpx.Response(200, text="{}"), "validation errors"),
    ],
)
def test_a_peer_that_is_gone_serves_nothing_and_is_logged_once(of_two, network, monkeypatch, caplog, second, why):
    monkeypatch.setattr(node_status, "PEER_POLL_SECONDS", 0.01)

    def handler(request: httpx.Request) -> httpx.Response:
        if len(network.requests) <= 2:
            return httpx.Response(200, json=READY)
        if isinstance(second, Exception):
            raise second
        return httpx.Response(second.status_code, text=second.text)

    network.handler = handler

    async def use() -> Peers:
        found = Peers(of_two)
        await poll(found, network, 3)
        return found

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(use()).serving("cat", "1.0") == frozenset()
    messages = sorted(record.message for record in caplog.records)
    assert len(messages) == 2
    for peer, message in zip(("10.0.0.2:8000", "node-3:8001"), messages, strict=True):
        assert message.startswith(f"node {peer} is gone: ")
        assert why in message


def test_without_peers_there_is_nothing_to_poll(settings, network):
    async def use() -> None:
        found = Peers(settings)
        await found.run()
        assert found._http.is_closed

    asyncio.run(use())
    assert network.requests == []
