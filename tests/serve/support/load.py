"""Steady load from many users, in a thread: the responses are kept for the test."""

import asyncio
import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from tests.serve.support.bundle import eventually


@dataclass(frozen=True)
class ReceivedResponse:
    """The facts of one response; with status 0 there was none, because the connection failed."""

    user: int
    status: int
    variant: str = ""
    source: str = ""
    request_id: str = ""
    token: str = ""  # for feedback
    pid: int = 0  # of the worker, where it reports it


HEADERS = ("x-variant", "x-variant-source", "x-request-id", "x-feedback-token")


@dataclass
class Load:
    """Open-loop load: a context manager that sends `rate` requests per second until it is left.

    It does not wait for responses, which it appends to `responses`.
    """

    url: str
    rate: float
    users: int = 1000
    responses: list[ReceivedResponse] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
        async with (
            httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as client,
            asyncio.TaskGroup() as tasks,
        ):
            start = time.monotonic()
            for number in itertools.count():
                if self._stopped.is_set():
                    return
                await asyncio.sleep(max(0, start + number / self.rate - time.monotonic()))
                tasks.create_task(self._send(client, number % self.users))

    async def _send(self, client: httpx.AsyncClient, user: int) -> None:
        try:
            response = await client.post(self.url, json={}, headers={"x-user-id": f"user-{user}"})
        except httpx.TransportError:
            self.responses.append(ReceivedResponse(user, 0))
            return
        headers = (response.headers.get(name, "") for name in HEADERS)
        pid = response.json().get("pid", 0)
        self.responses.append(ReceivedResponse(user, response.status_code, *headers, pid=pid))

    def wait_for(self, count: int) -> None:
        """Wait until `count` more responses have arrived."""
        start = len(self.responses)
        eventually(lambda: len(self.responses) >= start + count, f"{count} more responses")

    @property
    def failed(self) -> list[ReceivedResponse]:
        return [response for response in self.responses if not 200 <= response.status < 300]

    def variants(self, since: int = 0) -> dict[int, str]:
        """Return the variant by user, of the responses from number `since` on."""
        return {response.user: response.variant for response in self.responses[since:]}


def assigned(url: str, users: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Send a request for each of these users; return the variant and its source by user."""
    with httpx.Client(timeout=60, trust_env=False) as client:
        found = {}
        for user in users:
            response = client.post(url, json={}, headers={"x-user-id": f"user-{user}"})
            assert response.status_code == 200, response.text
            found[user] = (response.headers["x-variant"], response.headers["x-variant-source"])
        return found
