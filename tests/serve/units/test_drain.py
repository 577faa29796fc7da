"""Ends that lose no request: waiting for requests in flight, and for workers that go."""

import asyncio

import pytest

from serving import drain
from serving.management import Description, Worker


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self, monkeypatch) -> None:
        self.now, self.slept = 0.0, []
        monkeypatch.setattr(drain.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(drain.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


class Counting:
    """A gateway whose counts are given, the last of them for ever."""

    def __init__(self, *counts: int) -> None:
        self.counts, self.asked = list(counts), []

    async def in_flight(self, *version: str) -> int:
        self.asked.append(version)
        return self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]


class Shrinking:
    """A TorchServe that has a number of workers, given for each time it is asked, None being no such version."""

    def __init__(self, *workers: int | None) -> None:
        self.workers, self.calls = list(workers), []

    async def scale(self, *arguments) -> None:
        self.calls.append(("scale", *arguments))

    async def unregister(self, *arguments) -> None:
        self.calls.append(("unregister", *arguments))

    async def describe(self, name: str) -> dict[str, Description]:
        self.calls.append(("describe", name))
        count = self.workers.pop(0) if len(self.workers) > 1 else self.workers[0]
        if count is None:
            return {}
        workers = [Worker(id=str(index), status="READY") for index in range(count)]
        return {"1.0": Description(
            model_version="1.0", min_workers=0, max_workers=0, response_timeout=1, startup_timeout=1, workers=workers
        )}  # fmt: skip


@pytest.mark.parametrize(("counts", "asked"), [((0,), 2), ((0, 1, 0), 4), ((1, 1, 0, 0, 5), 4), ((2, 0, 1, 0, 0), 5)])
def test_a_version_is_quiet_after_two_counts_of_nothing(clock, counts, asked):
    gateway = Counting(*counts)
    asyncio.run(drain.quiet(gateway, "cat", "1.0", 10))
    assert gateway.asked == [("cat", "1.0")] * asked
    assert clock.slept == [0.2] * asked


def test_a_version_that_is_never_quiet_is_waited_for_no_longer_than_asked(clock):
    gateway = Counting(1)
    asyncio.run(drain.quiet(gateway, "cat", "1.0", 1.9))
    assert len(gateway.asked) == 10


def test_scaling_down_waits_until_the_workers_are_gone(clock):
    torchserve = Shrinking(3, 2, 1)
    asyncio.run(drain.shrink(torchserve, "cat", "1.0", 1, 10))
    assert torchserve.calls == [("scale", "cat", "1.0", 1), *[("describe", "cat")] * 3]
    assert clock.slept == [0.2] * 2


def test_scaling_down_ends_with_the_version(clock):
    torchserve = Shrinking(2, None)
    asyncio.run(drain.shrink(torchserve, "cat", "1.0", 1, 10))
    assert torchserve.calls.count(("describe", "cat")) == 2


def test_scaling_down_waits_no_longer_than_asked(clock):
    torchserve = Shrinking(2)
    asyncio.run(drain.shrink(torchserve, "cat", "1.0", 0, 0.9))
    assert torchserve.calls.count(("describe", "cat")) == 5


def test_a_version_is_unregistered_when_it_has_no_worker_any_more(clock):
    torchserve = Shrinking(2, 1, 0)
    asyncio.run(drain.unregister(torchserve, "cat", "1.0", 10))
    assert torchserve.calls == [
        ("describe", "cat"),
        ("scale", "cat", "1.0", 0),
        *[("describe", "cat")] * 2,
        ("unregister", "cat", "1.0"),
    ]


def test_unregistering_has_a_limit(clock):
    torchserve = Shrinking(2)
    asyncio.run(drain.unregister(torchserve, "cat", "1.0", 0.5))
    assert torchserve.calls[-1] == ("unregister", "cat", "1.0")
    assert clock.now == pytest.approx(0.6)


def test_what_is_not_registered_is_left_alone(clock):
    torchserve = Shrinking(None)
    asyncio.run(drain.unregister(torchserve, "cat", "1.0", 10))
    assert torchserve.calls == [("describe", "cat")]
