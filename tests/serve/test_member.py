"""A version of a model on its way to service: what it says when its worker dies."""

import asyncio
import subprocess
import sys
import time

import pytest

from serving.desired import Version
from serving.management import Description, Worker
from serving.member import Member
from serving.settings import Settings

TRACEBACK = [
    "Traceback (most recent call last):",
    "ModuleNotFoundError: No module named 'mouse'",
    "RuntimeError: 500 - No module named 'mouse'",
]


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(var=tmp_path)


@pytest.fixture
def died() -> Description:
    """What TorchServe says of a version whose only worker is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    worker = Worker(id="9000", status="UNLOADING", pid=process.pid)
    return Description(
        model_version="1.0", min_workers=1, max_workers=1, response_timeout=60, startup_timeout=60, workers=[worker]
    )


def log(settings: Settings, *said: str) -> None:
    settings.logs.mkdir(exist_ok=True)
    with (settings.logs / "models.log").open("a") as file:
        file.writelines(f"2026-11-22 12:00:00,000 [INFO ] W-9000-cat_1.0-stdout - {line}\n" for line in said)


async def reason(settings: Settings, died: Description, *late: str) -> str:
    """Of the failure of `cat` 1.0, whose worker's last lines come a while after its death was seen."""
    member = Member(settings, "cat", "1.0", Version(archive="cat-1.0.mar", workers=1))
    give_up = time.monotonic() + 30
    seen = 0
    while member.state != "failed":
        assert time.monotonic() < give_up, f"{member.state}: {member.reason}"
        member.observe(died, torchserve=None)
        await asyncio.sleep(0.1)
        seen += 1
        if seen == 3:
            log(settings, *late)
    return member.reason


def test_a_death_is_explained_by_an_exception_that_is_logged_after_it(settings, died):
    log(settings, "model_name: cat, batchSize: 1")
    said = asyncio.run(reason(settings, died, *TRACEBACK))
    assert "ModuleNotFoundError: No module named 'mouse'" in said


def test_a_death_is_not_explained_by_an_earlier_one(settings, died):
    log(settings, "ValueError: this was yesterday")
    said = asyncio.run(reason(settings, died, *TRACEBACK))
    assert "mouse" in said


def test_who_raised_nothing_is_quoted(settings, died):
    log(settings, "model_name: cat, batchSize: 1")
    said = asyncio.run(reason(settings, died, "good-bye"))
    assert "good-bye" in said
