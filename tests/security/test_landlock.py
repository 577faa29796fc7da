"""Landlock and capabilities: what a process gave up, it does not get back, and nor does what it starts."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from marina.security import landlock
from marina.settings import ROOT

pytestmark = pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
PREPARE = """
import os, subprocess, sys
from pathlib import Path
from marina.security import capabilities, landlock
from marina.security.landlock import READ, WRITE, Access

def attempt(action):
    try:
        action()
    except OSError as exc:
        return type(exc).__name__
    return "done"

system = dict.fromkeys([Path("/usr"), Path("/lib"), Path("/lib64"), Path("/proc"), Path(sys.base_prefix)], READ)
a, b = Path("a"), Path("b")
"""


@pytest.fixture
def confined(tmp_path: Path):
    """Run code in a process of its own, in a folder with the folders `a` and `b`; return what it prints."""
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text(folder)

    def run(code: str, **options) -> list[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", PREPARE + textwrap.dedent(code)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, **options
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


def test_what_no_rule_allows_is_denied(confined):
    found = confined("""
        landlock.restrict({**system, a: READ, Path("missing"): WRITE})
        print(attempt((a / "file").read_text), attempt((b / "file").read_text))
        print(attempt(lambda: (a / "new").touch()), attempt((a / "file").unlink), attempt((b / "file").unlink))
        print(attempt(lambda: os.listdir("a")), attempt(lambda: os.listdir("b")))
    """)
    denied = "PermissionError"
    assert found == ["done", denied, denied, denied, denied, "done", denied]


def test_a_writable_folder_is_the_only_one(confined):
    found = confined("""
        landlock.restrict({**system, a: WRITE, b: READ})
        print(attempt(lambda: (a / "x").mkdir()), attempt(lambda: (a / "x" / "y").write_text("")))
        print(attempt((a / "x" / "y").unlink), attempt(lambda: (b / "file").write_text("")))
        print(attempt(lambda: os.rename("b/file", "a/moved")))
    """)
    assert found[:4] == ["done", "done", "done", "PermissionError"]
    assert found[4] != "done"


def test_links_lead_nowhere_else(confined):
    found = confined("""
        (a / "link").symlink_to("../b/file")
        landlock.restrict({**system, a: WRITE})
        (a / "later").symlink_to("../b/file")
        print(attempt((a / "link").read_text), attempt((a / "later").read_text))
        print(attempt(lambda: os.link("b/file", "a/hard")))
    """)
    assert "done" not in found


def test_children_are_confined_and_no_process_can_loosen_the_rules(confined):
    found = confined("""
        landlock.restrict({**system, a: READ})
        landlock.restrict({**system, a: READ, b: READ})
        print(attempt((b / "file").read_text))
        print(subprocess.run(["/usr/bin/cat", "b/file"], capture_output=True).returncode)
    """)
    assert found == ["PermissionError", "1"]


def test_a_rule_for_a_socket_folder_lets_nobody_remove_its_files(confined):
    found = confined("""
        import socket
        landlock.restrict({**system, a: Access.MAKE_SOCK})
        print(attempt(lambda: socket.socket(socket.AF_UNIX).bind("a/s")), attempt((a / "file").unlink))
        print(attempt(lambda: (a / "new").touch()))
    """)
    assert found == ["done", "PermissionError", "PermissionError"]


def test_the_environment_of_other_processes_is_hidden(confined):
    """Root's CAP_PERFMON would let a confined process read it."""
    found = confined("""
        capabilities.keep_those_of_files()
        landlock.restrict(system)
        print(attempt(Path(f"/proc/{os.getppid()}/environ").read_bytes))
        print(attempt(Path("/proc/self/environ").read_bytes))
    """)
    assert found == ["PermissionError", "done"]


@pytest.mark.skipif(landlock.abi() < landlock.SCOPES_ABI, reason="signals are scoped from Linux 6.12")
def test_no_signal_leaves_the_confinement(confined):
    found = confined("""
        import signal
        landlock.restrict(system)
        print(attempt(lambda: os.kill(os.getppid(), 0)), attempt(lambda: os.kill(os.getpid(), 0)))
    """)
    assert found == ["PermissionError", "done"]
