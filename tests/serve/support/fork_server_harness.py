"""Harness for tests of the fork server: starts one, and workers that run code of the test instead of TorchServe's."""

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from marina.settings import ROOT


@dataclass
class ForkServerHarness:
    """A folder for the socket of one fork server, and for the scripts of its workers."""

    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "f.sock"  # short: paths of Unix sockets have at most 107 bytes

    @contextmanager
    def server(self) -> Iterator[subprocess.Popen]:
        """Run a fork server; it is killed at the end of the context, but its children are not."""
        command = [sys.executable, "-m", "marina.serving.forkserver.server", self.socket]
        with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as server:
            try:
                yield server
            finally:
                server.kill()

    @contextmanager
    def shim(self, code: str, folder: Path | None = None, **environment: str) -> Iterator[subprocess.Popen]:
        """Run a shim, the process that TorchServe starts as a worker; it has the fork server run `code` in a child.

        `folder` is the working directory and the PYTHONPATH, as for an archive's worker.
        """
        folder = folder or self.folder
        script = Path(tempfile.mkdtemp(dir=self.folder)) / "ts" / "model_service_worker.py"
        script.parent.mkdir()
        script.write_text(textwrap.dedent(code))
        arguments = ("--sock-type", "unix", "--sock-name", folder / ".ts.sock.9001")
        python = [sys.executable, "-IS", ROOT / "marina" / "serving" / "forkserver" / "shim.py", self.socket]
        environment = {**os.environ, "PYTHONPATH": f"{folder}:", **environment}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [*python, script, *arguments]
        with subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, code: str, folder: Path | None = None, **environment: str) -> tuple[str, str, int]:
        """Run a worker that ends by itself, with "typed" on stdin; return its stdout, stderr and exit code."""
        with self.shim(code, folder, **environment) as process:
            return *process.communicate("typed", timeout=120), process.returncode


def pid_of(shim: subprocess.Popen) -> int:
    """Return the pid of a shim's child, whose code prints it on the first line."""
    return int(shim.stdout.readline())
