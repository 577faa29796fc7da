"""Servers as processes: started in their own process group, polled until ready, stopped with all children."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.load.closed_loop import closed_loop
from benchmarks.load.wire import Target
from benchmarks.workloads import Workload

START_SECONDS = 180


class NotReadyError(Exception):
    """A stack did not start, or its responses are wrong; the message has the reason and the end of its log."""


def free_ports(count: int) -> list[int]:
    """Return ports that are free at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def running(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process with `folder` for its working directory and log; stop it and its children at the end."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | dict(environment or {})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a terminated run must stop its servers
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=folder, env=variables, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], seconds: float = 10) -> None:
    """Terminate a process and its children, and kill what is left after `seconds`."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    process.terminate()
    left = psutil.wait_procs(family, timeout=seconds)[1]
    for each in left:
        each.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # children started meanwhile
    process.wait()
    psutil.wait_procs(left, timeout=seconds)


def await_ready(
    process: subprocess.Popen[bytes], folder: Path, target: Target, workload: Workload, seconds: float = START_SECONDS
) -> None:
    """Wait until all responses are right. Raises NotReadyError if the process ends or on a timeout."""
    deadline = time.monotonic() + seconds
    why = "nothing listens"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            result = closed_loop(target, concurrency=2, seconds=0.5, warm_up=0.5, is_right=workload.is_right)
        except OSError as exc:
            why = str(exc)
        else:
            if result.responses and not result.errors and not result.wrong:
                return
            why = f"{result.responses} responses, {result.wrong} wrong in the sample, {result.errors} errors"
        time.sleep(0.2)
    tail = (folder / "server.log").read_text(errors="replace")[-1500:]
    raise NotReadyError(f"not ready: {why}; its log ends with\n{tail}")
