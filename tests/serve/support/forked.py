"""A separate fork server, and workers that run a test's code."""

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
class Rig:
    """A fork server, and a folder with a script that takes the place of TorchServe's worker."""

    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "f.sock"

    @contextmanager
    def server(self) -> Iterator[subprocess.Popen]:
        command = [sys.executable, "-m", "marina.serving.forkserver.server", self.socket]
        with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as server:
            try:
                yield server
            finally:
                server.kill()

    @contextmanager
    def shim(self, code: str, folder: Path | None = None, **environment: str) -> Iterator[subprocess.Popen]:
        """A shim whose worker runs `code` with the folder as its working directory and PYTHONPATH, as TorchServe
        starts workers."""
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
        """Output, errors and exit code of a worker that ends by itself."""
        with self.shim(code, folder, **environment) as process:
            return *process.communicate("typed", timeout=120), process.returncode


def pid_of(shim: subprocess.Popen) -> int:
    """Return the pid of the child, which prints it first."""
    return int(shim.stdout.readline())
