"""What the supervisor starts: `python -m serving.launch forks|torchserve|envoy|control`, which becomes that program."""

import ctypes
import os
import shutil
import signal
import sys
from typing import Any

import psutil

from serving import bootstrap, gateway, torchserve
from serving.forks import child
from serving.settings import Settings

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """A supervisor that is killed takes its programs along; elsewhere than on Linux they would stay."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def workers(settings: Settings) -> list[psutil.Process]:
    """This instance's worker processes and their shims."""
    return [process for process in psutil.process_iter(["name", "cmdline"]) if _works(settings, process.info)]


def _works(settings: Settings, process: dict[str, Any]) -> bool:
    """Workers and shims are known by the folder of their sockets; a fork has the command line of the fork server, and a
    name of its own."""
    arguments = process["cmdline"] or ()
    forked = (process["name"] or "").startswith(child.NAME) and str(settings.fork_socket) in arguments
    return forked or any(argument.startswith(f"{settings.sockets}/.ts.sock.") for argument in arguments)


def end_workers(settings: Settings) -> bool:
    """A killed JVM leaves its workers behind, and their successors need the sockets; False if there are none."""
    left = workers(settings)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
    return bool(left)


def prepare_torchserve(settings: Settings) -> None:
    """Close the gate, and clear away what the last JVM left: its key, its workers, its unpacked archives."""
    gateway.close(settings)
    settings.key_file.unlink(missing_ok=True)
    end_workers(settings)
    shutil.rmtree(settings.sockets / "models", ignore_errors=True)


def main(program: str) -> None:
    settings = Settings()
    settings.make_folders()
    die_with_parent()
    environment = dict(os.environ)
    if program == "forks":
        command = [sys.executable, "-m", "serving.forks.server", str(settings.fork_socket)]
        environment = torchserve.environment(settings)  # what libraries read once, they read from what workers get
    elif program == "torchserve":
        prepare_torchserve(settings)
        torchserve.render(settings)
        command, environment = torchserve.command(settings), torchserve.environment(settings)
    elif program == "envoy":
        bootstrap.render(settings)
        options = ["--disable-hot-restart", "-l", "warning", "--file-flush-interval-msec", "200"]
        command = [str(gateway.binary()), "-c", str(bootstrap.file(settings)), *options]
    else:
        command = [sys.executable, "-m", "control"]
    if program in {"torchserve", "envoy"}:
        os.chdir(settings.run)  # TorchServe's key_file.json lands in its working directory
    os.execve(command[0], command, environment)  # noqa: S606 - becomes the program, so that signals reach it


if __name__ == "__main__":
    main(sys.argv[1])
