"""Fixtures of unit tests of serving: settings of an instance that does not run, and a network without servers."""

import os
import ssl
from collections.abc import Callable

import httpx
import pytest

from marina import instance
from marina.settings import HOME, Settings

Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("MARINA_"):
            monkeypatch.delenv(name)
    real = instance.process
    monkeypatch.setattr(instance, "process", lambda run: None if run == HOME / "var" / "run" else real(run))


@pytest.fixture
def settings(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an instance of which nothing runs; `Settings()` gives the same."""
    made = Settings(var=tmp_path / "var", store=tmp_path / "store")
    made.store.mkdir()
    made.make_folders()
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    return made


class Network:
    """Record of every request that httpx would send; `handler` returns the response, or raises an error of httpx."""

    def __init__(self) -> None:
        self.handler: Handler = lambda request: httpx.Response(200)
        self.requests: list[httpx.Request] = []

    def respond(self, transport: object, request: httpx.Request) -> httpx.Response:
        assert "Proxy" not in type(vars(transport)["_pool"]).__name__, "by a proxy"
        self.requests.append(request)
        response = self.handler(request)
        response.request = request
        return response

    @property
    def lines(self) -> list[str]:
        """Method and URL of each request."""
        return [f"{request.method} {request.url}" for request in self.requests]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """No request leaves this process; one that would go through the environment's proxy fails."""
    made = Network()

    async def respond(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return made.respond(transport, request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", respond)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda it, request: made.respond(it, request))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the usual one takes 50 ms of each client
    monkeypatch.setattr(httpx._transports.default, "create_ssl_context", lambda **_: context)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return made
