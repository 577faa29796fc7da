"""The reconciler's status is never older than the call, and is polled at a limited rate."""

import asyncio
import time

import pytest

from marina.serving.reconciler import desired_state
from marina.serving.reconciler.desired_state import DesiredState, ModelSpec, VersionSpec
from marina.serving.reconciler.reconciler import MIN_POLL_INTERVAL, Reconciler
from marina.settings import Settings


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Settings of an instance of which nothing runs."""
    made = Settings(var=tmp_path)
    made.make_folders()
    return made


def desired_with(name: str) -> DesiredState:
    versions = {"1.0": VersionSpec(archive=f"{name}-1.0.mar")}
    return DesiredState(models={name: ModelSpec(default="1.0", versions=versions)})


def test_a_status_includes_a_change_made_just_before_the_call(settings):
    async def poll() -> list[set[str]]:
        reconciler, served = Reconciler(settings), []
        for name in ("cat", "dog", "cat"):
            desired_state.save(settings, desired_with(name))
            served.append(set((await reconciler.status()).models))
        return served

    assert asyncio.run(poll()) == [{"cat"}, {"dog"}, {"cat"}]


def test_concurrent_calls_share_a_poll(settings, monkeypatch):
    polls = []

    def load(of: Settings) -> DesiredState:
        polls.append(of)
        return DesiredState()

    monkeypatch.setattr(desired_state, "load", load)

    async def poll() -> None:
        reconciler = Reconciler(settings)
        await asyncio.gather(*(reconciler.status() for _ in range(50)))

    asyncio.run(poll())
    assert len(polls) <= 2  # one of the first call, and one of all calls that came during it


def test_calls_without_a_pause_wait_instead_of_polling_more_often(settings):
    async def poll() -> float:
        reconciler = Reconciler(settings)
        began = time.monotonic()
        for _ in range(4):
            await reconciler.status()
        return time.monotonic() - began

    assert asyncio.run(poll()) >= 3 * MIN_POLL_INTERVAL
