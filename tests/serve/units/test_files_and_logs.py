"""Files that others watch, the last lines of logs, and a worker's last error."""

import asyncio
import stat

import pytest

from serving import files, worker_log


def test_an_atomic_write_replaces_the_whole_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("something longer")
    path.chmod(0o644)
    old = path.stat().st_ino
    files.write_atomic(path, "\u597d")
    assert path.read_bytes() == "\u597d".encode()
    assert path.stat().st_ino != old
    files.write_atomic(path, b"\xff")
    assert path.read_bytes() == b"\xff"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]


def test_until_the_rename_the_content_lies_beside_the_file_under_another_name(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(files.Path, "replace", lambda source, target: seen.append((source, target)))
    files.write_atomic(tmp_path / "x.json", "1")
    ((source, target),) = seen
    assert (source.parent, target) == (tmp_path, tmp_path / "x.json")
    assert source.name.startswith(".x.json.")
    assert source.read_text() == "1"


def test_the_last_lines_of_a_file(tmp_path):
    path = tmp_path / "log"
    assert files.last_lines(path, 3) == []
    path.write_bytes(b"1\n2\n\xff\n4\n")
    assert files.last_lines(path, 2) == ["\ufffd", "4"]
    assert files.last_lines(path, 9) == ["1", "2", "\ufffd", "4"]
    assert files.last_lines(path, 9, size=4) == ["\ufffd", "4"]
    path.write_bytes(b"x" * (1 << 18) + b"y")
    assert files.last_lines(path, 1) == ["x" * ((1 << 18) - 1) + "y"]


LOG = """\
2026-11-22 12:00:00,000 [INFO ] W-9000-cat_1.0-stdout - one
2026-11-22 12:00:00,000 [INFO ] W-9000-cat_1.00-stdout - of another version
2026-11-22 12:00:00,000 [INFO ] W-9000-tomcat_1.0-stdout - of another model
2026-11-22 12:00:00,000 [WARN ] W-9012-cat_1.0-stderr - two - three
2026-11-22 12:00:00,000 [INFO ] W-9000-cat_1x0-stdout - no dot
"""


def test_the_lines_of_one_versions_workers(settings):
    assert worker_log.lines(settings, "cat", "1.0") == []
    (settings.logs / "models.log").write_text(LOG)
    assert worker_log.lines(settings, "cat", "1.0") == ["one", "two - three"]


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
    assert worker_log.exception(lines) == found


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The seconds that were slept; time passes only then."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(worker_log.asyncio, "sleep", sleep)
    monkeypatch.setattr(worker_log.time, "monotonic", lambda: sum(slept))
    return slept


def last_error(settings) -> str:
    return asyncio.run(worker_log.last_error(settings, "cat", "1.0"))


def test_an_exception_that_is_there_is_returned_after_a_moment(settings, clock):
    (settings.logs / "models.log").write_text("W-9000-cat_1.0-stdout - ValueError: a\n")
    assert last_error(settings) == "ValueError: a (see logs/models.log)"
    assert clock == [0.5]


def test_without_an_exception_the_last_line_is_returned_after_some_patience(settings, clock):
    assert last_error(settings) == "it said nothing (see logs/models.log)"
    assert clock == [0.5] * 10
    (settings.logs / "models.log").write_text(LOG)
    assert last_error(settings) == "two - three (see logs/models.log)"
