"""The check of file sizes names what is outside the limits, and nothing else."""

import subprocess
import sys
from pathlib import Path

from tests.lint.file_sizes import LONGEST, MOST_FILES, SHORTEST, problems


def written(folder: Path, name: str, lines: int) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("pass\n" * lines)
    return path


def test_files_are_within_the_limits_inclusive(tmp_path):
    sizes = {"a": SHORTEST, "b": LONGEST, "c": SHORTEST - 1, "d": LONGEST + 1, "__init__": 0}
    found = problems([written(tmp_path, f"{name}.py", lines) for name, lines in sizes.items()])
    assert [line.split(" lines")[0] for line in found] == [f"{tmp_path}/c.py: 19", f"{tmp_path}/d.py: 261"]


def test_a_folder_with_too_many_files_is_named_unless_it_is_a_catalogue(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    full = [Path(folder, f"{index}.py") for folder in ("models", "full") for index in range(MOST_FILES + 1)]
    room = [Path("room", f"{index}.py") for index in range(MOST_FILES)]
    for path in full + room:
        written(path.parent, path.name, SHORTEST)
    assert problems(full + room) == ["full: 21 Python files, where 20 are allowed"]


def test_the_command_fails_with_the_lines(tmp_path):
    short, right = written(tmp_path, "short.py", 1), written(tmp_path, "right.py", 30)
    command = [sys.executable, "tests/lint/file_sizes.py"]
    done = subprocess.run([*command, right], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "")
    done = subprocess.run([*command, short, right], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (1, f"{short}: 1 lines, where 20 to 260 are allowed")
