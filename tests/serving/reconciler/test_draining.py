"""Draining: waiting for requests in flight, and for workers that end."""

import asyncio

import pytest

from marina.serving.reconciler import background_tasks
from marina.serving.torchserve.client import VersionDescription, Worker


class Clock:
    """Clock whose time passes only during a sleep."""

    def __init__(self, monkeypatch) -> None:
        self.now, self.slept = 0.0, []
        monkeypatch.setattr(background_tasks.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(background_tasks.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


class CountingGateway:
    """Gateway with given counts of requests in flight; the last count repeats."""

    def __init__(self, *counts: int) -> None:
        self.counts, self.polled = list(counts), []

    async def in_flight(self, *version: str) -> int:
        self.polled.append(version)
        return self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]


class ShrinkingTorchServe:
    """TorchServe with a given number of workers for each description; None means no such version."""

    def __init__(self, *workers: int | None) -> None:
        self.workers, self.calls = list(workers), []

    async def scale(self, *arguments) -> None:
        self.calls.append(("scale", *arguments))

    async def unregister(self, *arguments) -> None:
        self.calls.append(("unregister", *arguments))

    async def describe(self, name: str) -> dict[str, VersionDescription]:
        self.calls.append(("describe", name))
        count = self.workers.pop(0) if len(self.workers) > 1 else self.workers[0]
        if count is None:
            return {}
        workers = [Worker(id=str(index), status="READY") for index in range(count)]
        return {"1.0": VersionDescription(
            model_version="1.0", min_workers=0, max_workers=0, response_timeout=1, startup_timeout=1, workers=workers
        )}  # fmt: skip


@pytest.mark.parametrize(("counts", "polled"), [((0,), 2), ((0, 1, 0), 4), ((1, 1, 0, 0, 5), 4), ((2, 0, 1, 0, 0), 5)])
def test_a_version_is_idle_after_two_counts_of_zero(clock, counts, polled):
    gateway = CountingGateway(*counts)
    asyncio.run(background_tasks.wait_until_idle(gateway, "cat", "1.0", 10))
    assert gateway.polled == [("cat", "1.0")] * polled
    assert clock.slept == [0.2] * polled


def test_a_version_that_is_never_idle_has_a_limit(clock):
    gateway = CountingGateway(1)
    asyncio.run(background_tasks.wait_until_idle(gateway, "cat", "1.0", 1.9))
    assert len(gateway.polled) == 10


def test_scaling_down_waits_until_the_workers_are_gone(clock):
    torchserve = ShrinkingTorchServe(3, 2, 1)
    asyncio.run(background_tasks.scale_down(torchserve, "cat", "1.0", 1, 10))
    assert torchserve.calls == [("scale", "cat", "1.0", 1), *[("describe", "cat")] * 3]
    assert clock.slept == [0.2] * 2


def test_scaling_down_ends_with_the_version(clock):
    torchserve = ShrinkingTorchServe(2, None)
    asyncio.run(background_tasks.scale_down(torchserve, "cat", "1.0", 1, 10))
    assert torchserve.calls.count(("describe", "cat")) == 2


def test_scaling_down_has_a_limit(clock):
    torchserve = ShrinkingTorchServe(2)
    asyncio.run(background_tasks.scale_down(torchserve, "cat", "1.0", 0, 0.9))
    assert torchserve.calls.count(("describe", "cat")) == 5


def test_a_version_is_unregistered_when_it_has_no_worker_any_more(clock):
    torchserve = ShrinkingTorchServe(2, 1, 0)
    asyncio.run(background_tasks.unregister(torchserve, "cat", "1.0", 10))
    assert torchserve.calls == [
        ("describe", "cat"),
        ("scale", "cat", "1.0", 0),
        *[("describe", "cat")] * 2,
        ("unregister", "cat", "1.0"),
    ]


def test_unregistering_has_a_limit(clock):
    torchserve = ShrinkingTorchServe(2)
    asyncio.run(background_tasks.unregister(torchserve, "cat", "1.0", 0.5))
    assert torchserve.calls[-1] == ("unregister", "cat", "1.0")
    assert clock.now == pytest.approx(0.6)


def test_a_version_that_is_not_registered_is_ignored(clock):
    torchserve = ShrinkingTorchServe(None)
    asyncio.run(background_tasks.unregister(torchserve, "cat", "1.0", 10))
    assert torchserve.calls == [("describe", "cat")]
