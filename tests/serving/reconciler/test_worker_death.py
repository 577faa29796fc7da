"""The reason of a version whose worker died while it loaded."""

import asyncio
import subprocess
import sys
import time

import pytest

from marina.serving.reconciler.desired_state import VersionSpec
from marina.serving.reconciler.model_version import ModelVersion
from marina.serving.torchserve.client import VersionDescription, Worker
from marina.settings import Settings

TRACEBACK = [
    "Traceback (most recent call last):",
    "ModuleNotFoundError: No module named 'mouse'",
    "RuntimeError: 500 - No module named 'mouse'",
]


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(var=tmp_path)


@pytest.fixture
def died() -> VersionDescription:
    """The description of a version whose only worker has died."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    worker = Worker(id="9000", status="UNLOADING", pid=process.pid)
    return VersionDescription(
        model_version="1.0", min_workers=1, max_workers=1, response_timeout=60, startup_timeout=60, workers=[worker]
    )


def log(settings: Settings, *lines: str) -> None:
    settings.logs.mkdir(exist_ok=True)
    with (settings.logs / "models.log").open("a") as file:
        file.writelines(f"2026-11-22 12:00:00,000 [INFO ] W-9000-cat_1.0-stdout - {line}\n" for line in lines)


async def reason(settings: Settings, died: VersionDescription, *late: str) -> str:
    """Return the reason of `cat` 1.0, whose worker's last lines arrive after its death was detected."""
    version = ModelVersion(settings, "cat", "1.0", VersionSpec(archive="cat-1.0.mar", workers=1))
    deadline = time.monotonic() + 30
    passes = 0
    while version.state != "failed":
        assert time.monotonic() < deadline, f"{version.state}: {version.reason}"
        version.reconcile(died, torchserve=None)
        await asyncio.sleep(0.1)
        passes += 1
        if passes == 3:
            log(settings, *late)
    return version.reason


def test_a_death_is_explained_by_an_exception_that_is_logged_after_it(settings, died):
    log(settings, "model_name: cat, batchSize: 1")
    found = asyncio.run(reason(settings, died, *TRACEBACK))
    assert "ModuleNotFoundError: No module named 'mouse'" in found


def test_a_death_is_not_explained_by_an_earlier_one(settings, died):
    log(settings, "ValueError: this was yesterday")
    found = asyncio.run(reason(settings, died, *TRACEBACK))
    assert "mouse" in found


def test_a_worker_without_an_exception_is_quoted(settings, died):
    log(settings, "model_name: cat, batchSize: 1")
    found = asyncio.run(reason(settings, died, "good-bye"))
    assert "good-bye" in found
