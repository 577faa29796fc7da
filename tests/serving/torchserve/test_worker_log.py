"""The log of workers: lines of one version, and its last error."""

import asyncio

import pytest

from marina.serving.torchserve import process

LOG = """\
2026-11-22 12:00:00,000 [INFO ] W-9000-cat_1.0-stdout - one
2026-11-22 12:00:00,000 [INFO ] W-9000-cat_1.00-stdout - of another version
2026-11-22 12:00:00,000 [INFO ] W-9000-tomcat_1.0-stdout - of another model
2026-11-22 12:00:00,000 [WARN ] W-9012-cat_1.0-stderr - two - three
2026-11-22 12:00:00,000 [INFO ] W-9000-cat_1x0-stdout - no dot
"""


def test_the_lines_of_one_versions_workers(settings):
    assert process.worker_log_lines(settings, "cat", "1.0") == []
    (settings.logs / "models.log").write_text(LOG)
    assert process.worker_log_lines(settings, "cat", "1.0") == ["one", "two - three"]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], None),
        (["nothing"], None),
        (["ValueError: a", "KeyError: b", "and so on"], "KeyError: b"),
        (["a.b.SomeException: c"], "a.b.SomeException: c"),
        (["SystemExit: 1", "KeyboardInterrupt"], "KeyboardInterrupt"),
        (["  ValueError: indented"], None),
        (["ValueError: a", "RuntimeError: 500 - ValueError: a"], "ValueError: a"),
        (["RuntimeError: 5 of 6"], "RuntimeError: 5 of 6"),
        (["Errors: none"], None),
    ],
)
def test_the_last_exception_that_is_not_torchserves_wrapper(lines, found):
    assert process.last_exception(lines) == found


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The seconds that were slept; time passes only then."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(process.asyncio, "sleep", sleep)
    monkeypatch.setattr(process.time, "monotonic", lambda: sum(slept))
    return slept


def last_error(settings) -> str:
    return asyncio.run(process.last_worker_error(settings, "cat", "1.0"))


def test_an_exception_that_is_there_is_returned_after_a_moment(settings, clock):
    (settings.logs / "models.log").write_text("W-9000-cat_1.0-stdout - ValueError: a\n")
    assert last_error(settings) == "ValueError: a (see logs/models.log)"
    assert clock == [0.5]


def test_without_an_exception_the_last_line_is_returned_after_some_patience(settings, clock):
    assert last_error(settings) == "it printed nothing (see logs/models.log)"
    assert clock == [0.5] * 10
    (settings.logs / "models.log").write_text(LOG)
    assert last_error(settings) == "two - three (see logs/models.log)"
