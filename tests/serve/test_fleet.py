"""What the fleet says is true when it is asked, not a moment before."""

import asyncio
import time

import pytest

from serving import desired
from serving.desired import Desired, Model, Version
from serving.fleet import APART_SECONDS, Fleet
from serving.settings import Settings


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Of an instance of which nothing runs."""
    made = Settings(var=tmp_path)
    made.make_folders()
    return made


def wanting(name: str) -> Desired:
    versions = {"1.0": Version(archive=f"{name}-1.0.mar")}
    return Desired(models={name: Model(default="1.0", versions=versions)})


def test_a_status_knows_what_changed_just_before_it_was_asked_for(settings):
    async def ask() -> list[set[str]]:
        fleet, seen = Fleet(settings), []
        for name in ("cat", "dog", "cat"):
            desired.save(settings, wanting(name))
            seen.append(set((await fleet.status()).models))
        return seen

    assert asyncio.run(ask()) == [{"cat"}, {"dog"}, {"cat"}]


def test_many_who_ask_at_once_share_a_look(settings, monkeypatch):
    looks = []

    def load(of: Settings) -> Desired:
        looks.append(of)
        return Desired()

    monkeypatch.setattr(desired, "load", load)

    async def ask() -> None:
        fleet = Fleet(settings)
        await asyncio.gather(*(fleet.status() for _ in range(50)))

    asyncio.run(ask())
    assert len(looks) <= 2  # the first one's, and one for all who came while it was being taken


def test_who_asks_without_a_pause_waits_for_a_look_and_makes_no_more_of_them(settings):
    async def ask() -> float:
        fleet = Fleet(settings)
        began = time.monotonic()
        for _ in range(4):
            await fleet.status()
        return time.monotonic() - began

    assert asyncio.run(ask()) >= 3 * APART_SECONDS
