"""Attackers and innocents beside each other: what both got, and how long the innocents waited."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.serve.support.bundle import Bundle

Sent = Mapping[str, Any]  # arguments of httpx's `post`


@dataclass
class Outcome:
    """Statuses of attackers and innocents, the bodies of what was refused, and the seconds of each innocent."""

    attackers: Counter[int] = field(default_factory=Counter)
    innocents: Counter[int] = field(default_factory=Counter)
    refusals: list[dict] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[98]


def attack(
    bundle: Bundle, path: str, innocent: Sent, attackers: Sequence[Sent], count: int, at_once: int = 8, workers: int = 2
) -> Outcome:
    """Send `count` innocent requests, `at_once` in flight, while `workers` attackers send theirs without a pause."""
    outcome, done = Outcome(), asyncio.Event()

    async def harmless(client: httpx.AsyncClient, turns: int) -> None:
        for _ in range(turns):
            start = time.perf_counter()
            response = await client.post(path, **innocent)
            outcome.seconds.append(time.perf_counter() - start)
            outcome.innocents[response.status_code] += 1
            await asyncio.sleep(0.01)

    async def hostile(client: httpx.AsyncClient, first: int) -> None:
        turn = first
        while attackers and not (done.is_set() and turn - first >= len(attackers)):
            response = await client.post(path, **attackers[turn % len(attackers)])
            outcome.attackers[response.status_code] += 1
            if response.status_code != 200:
                outcome.refusals.append(response.json())
            turn += 1

    async def run() -> None:
        async with httpx.AsyncClient(base_url=bundle.settings.url, timeout=60, trust_env=False) as client:
            hostiles = [asyncio.create_task(hostile(client, number)) for number in range(workers if attackers else 0)]
            await asyncio.gather(*(harmless(client, count // at_once) for _ in range(at_once)))
            done.set()
            await asyncio.gather(*hostiles)

    asyncio.run(run())
    return outcome
