"""Steady load from many users, in a thread, and what came back."""

import asyncio
import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from tests.serve.bundle import eventually


@dataclass(frozen=True)
class Seen:
    """One reply; status 0 is no reply at all."""

    user: int
    status: int
    variant: str = ""
    source: str = ""
    request_id: str = ""
    pid: int = 0  # of the worker, where it reports it


@dataclass
class Load:
    """A context manager: `rate` requests a second, whether or not earlier ones were answered, until it is left."""

    url: str
    rate: float
    users: int = 1000
    seen: list[Seen] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
        async with (
            httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as client,
            asyncio.TaskGroup() as tasks,
        ):
            start = time.monotonic()
            for number in itertools.count():
                if self._over.is_set():
                    return
                await asyncio.sleep(max(0, start + number / self.rate - time.monotonic()))
                tasks.create_task(self._ask(client, number % self.users))

    async def _ask(self, client: httpx.AsyncClient, user: int) -> None:
        try:
            answer = await client.post(self.url, json={}, headers={"x-user-id": f"user-{user}"})
        except httpx.TransportError:
            self.seen.append(Seen(user, 0))
            return
        names = (answer.headers.get(name, "") for name in ("x-variant", "x-variant-source", "x-request-id"))
        self.seen.append(Seen(user, answer.status_code, *names, answer.json().get("pid", 0)))

    def wait_for(self, count: int) -> None:
        """Until `count` more replies have come, however long that takes."""
        start = len(self.seen)
        eventually(lambda: len(self.seen) >= start + count, f"{count} more replies")

    @property
    def failed(self) -> list[Seen]:
        return [seen for seen in self.seen if not 200 <= seen.status < 300]

    def variants(self, since: int = 0) -> dict[int, str]:
        """By user, of the replies from number `since` on."""
        return {seen.user: seen.variant for seen in self.seen[since:]}


def assigned(url: str, users: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return variant and source for each of these users, by one request each."""
    with httpx.Client(timeout=60, trust_env=False) as client:
        found = {}
        for user in users:
            answer = client.post(url, json={}, headers={"x-user-id": f"user-{user}"})
            assert answer.status_code == 200, answer.text
            found[user] = (answer.headers["x-variant"], answer.headers["x-variant-source"])
        return found
