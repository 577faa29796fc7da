"""Background tasks: one at a time, with a pause after a failure."""

import asyncio
import logging

import httpx
import pytest

from marina.errors import TorchServeError
from marina.packaging.verify import NotVerifiedError
from marina.serving.reconciler import background_tasks
from marina.serving.reconciler.background_tasks import BackgroundTask


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def fail(error: BaseException) -> None:
    raise error


@pytest.fixture
def now(monkeypatch) -> list[float]:
    """The time, in a list that a test may change."""
    time = [100.0]
    monkeypatch.setattr(background_tasks.time, "monotonic", lambda: time[0])
    return time


def test_one_piece_of_work_at_a_time(now):
    done: list[int] = []

    async def use() -> None:
        work, go = BackgroundTask(lambda why: pytest.fail(why)), asyncio.Event()

        async def piece(number: int) -> None:
            await go.wait()
            done.append(number)

        assert not work.busy
        work.begin(piece(1))
        assert work.busy
        work.begin(piece(2))
        go.set()
        await settle()
        assert not work.busy
        work.begin(piece(3))
        await settle()

    asyncio.run(use())
    assert done == [1, 3]


def test_what_failed_is_not_tried_again_for_a_while(now):
    reasons: list[str] = []

    async def use() -> None:
        work = BackgroundTask(reasons.append)
        for at in (100.0, 104.9, 105.0, 109.9):
            now[0] = at
            work.begin(fail(TorchServeError(f"at {at}")))
            await settle()

    asyncio.run(use())
    assert reasons == ["at 100.0", "at 105.0"]


@pytest.mark.parametrize(
    ("error", "reason", "logged"),
    [
        (TorchServeError("no"), "no", False),
        (NotVerifiedError("no"), "no", False),
        (httpx.ReadTimeout(""), "ReadTimeout", False),
        (ValueError("a bug"), "a bug", True),
        (KeyError(), "KeyError", True),
    ],
)
def test_a_failure_has_a_reason_and_a_bug_is_logged(now, caplog, error, reason, logged):
    reasons: list[str] = []

    async def use() -> None:
        BackgroundTask(reasons.append).begin(fail(error))
        await settle()

    with caplog.at_level(logging.ERROR):
        asyncio.run(use())
    assert reasons == [reason]
    assert [record.message for record in caplog.records] == ["unexpected error in a background task"] * logged
    assert all(record.exc_info for record in caplog.records)


def test_cancelled_work_ends_and_is_no_failure(now):
    ended: list[str] = []

    async def use() -> None:
        work = BackgroundTask(ended.append)
        work.cancel()  # of nothing
        work.begin(asyncio.Event().wait())
        await settle()
        work.cancel()
        await settle()
        assert not work.busy

    asyncio.run(use())
    assert ended == []
