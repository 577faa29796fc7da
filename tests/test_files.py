"""Files that other processes read while they change, and the last lines of logs."""

import errno
import os
import stat
from pathlib import Path

import pytest

from marina import files


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


def test_a_write_to_a_full_disk_keeps_the_old_content_and_leaves_no_other_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.write_text("old")
    full = Path("/dev/full").open  # Linux's disk without room
    monkeypatch.setattr(files.os, "fdopen", lambda descriptor, mode: os.close(descriptor) or full(mode))
    with pytest.raises(OSError, match="No space left on device") as caught:
        files.write_atomic(path, "new")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
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


def test_other_users_lose_all_permissions(tmp_path):
    folder, outside = tmp_path / "var", tmp_path / "outside"
    (folder / "logs").mkdir(parents=True)
    log, script = folder / "logs" / "a.log", folder / "script"
    for file, permissions in ((log, 0o644), (script, 0o755), (outside, 0o644)):
        file.touch()
        file.chmod(permissions)
    (folder / "link").symlink_to(outside)
    folder.chmod(0o755)
    files.make_private(folder)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "logs", log, script)]
    assert modes == [0o700, 0o700, 0o600, 0o700]
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644
