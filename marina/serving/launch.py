"""Launcher of the supervisor's programs: `python -m marina.serving.launch forks|torchserve|envoy|control|watchdog`.

The process prepares the program's files and environment, and then becomes the program.
"""

import ctypes
import os
import shutil
import signal
import sys
from typing import Any

import psutil

from marina.files import PRIVATE_UMASK
from marina.security.environment import DATABASE_PREFIXES, kept
from marina.serving.envoy import bootstrap, gateway
from marina.serving.forkserver import child
from marina.serving.reconciler import desired_state
from marina.serving.torchserve import process as torchserve
from marina.settings import Settings

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Let the kernel kill this process when the supervisor dies. On other systems than Linux it would stay."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def worker_processes(settings: Settings) -> list[psutil.Process]:
    """Return this instance's worker processes and their shims."""
    return [process for process in psutil.process_iter(["name", "cmdline"]) if _is_worker(settings, process.info)]


def _is_worker(settings: Settings, process: dict[str, Any]) -> bool:
    """Return True for a worker or shim of this instance.

    They are identified by the folder of their sockets; a fork has its own name, and the fork server's command line.
    """
    arguments = process["cmdline"] or ()
    forked = (process["name"] or "").startswith(child.NAME) and str(settings.fork_socket) in arguments
    return forked or any(argument.startswith(f"{settings.sockets}/.ts.sock.") for argument in arguments)


def kill_workers(settings: Settings) -> bool:
    """Kill the workers that a killed JVM left, whose sockets their successors need; return False if there are none."""
    left = worker_processes(settings)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
    return bool(left)


def prepare_torchserve(settings: Settings) -> None:
    """Close Envoy's routes, and remove the last JVM's key, socket, workers and unpacked archives."""
    gateway.close(settings, desired_state.load(settings).closed_routes())
    settings.key_file.unlink(missing_ok=True)
    settings.metrics_socket.unlink(missing_ok=True)
    kill_workers(settings)
    remove_unpacked(settings)


def remove_unpacked(settings: Settings) -> None:
    """Remove the archives that the last JVM unpacked; rmtree follows no link."""
    shutil.rmtree(settings.sockets / "models", ignore_errors=True)


def render_bootstrap(settings: Settings) -> None:
    """Write Envoy's bootstrap configuration; with a full disk, the one of the last start is used."""
    try:
        bootstrap.render(settings)
        gateway.publish_certificate(settings)
    except OSError as exc:
        if not bootstrap.bootstrap_file(settings).exists():
            raise
        print(f"Envoy starts with the configuration of its last start: {exc}", file=sys.stderr)


def main(program: str) -> None:
    """Become the program."""
    os.umask(PRIVATE_UMASK)
    settings = Settings()
    settings.make_folders()
    die_with_parent()
    environment = kept(os.environ, settings.pass_environment)
    if program == "forks":
        command = [sys.executable, "-m", "marina.serving.forkserver.server", str(settings.fork_socket)]
        if settings.confine and settings.gallery is not None:
            settings.gallery.mkdir(parents=True, exist_ok=True, mode=0o700)
            command += [str(settings.gallery), settings.worker_folders]
        environment = torchserve.environment(settings)  # libraries read variables when they are imported
    elif program == "torchserve":
        prepare_torchserve(settings)
        torchserve.render(settings)
        command, environment = torchserve.command(settings), torchserve.environment(settings)
    elif program == "envoy":
        render_bootstrap(settings)
        options = ["--disable-hot-restart", *bootstrap.LOG_OPTIONS, "--file-flush-interval-msec", "200"]
        command = [str(gateway.binary()), "-c", str(bootstrap.bootstrap_file(settings)), *options]
    else:
        command = [sys.executable, "-m", {"control": "marina.api.app", "watchdog": "marina.serving.watchdog"}[program]]
        database = DATABASE_PREFIXES if program == "control" else ()
        environment = kept(os.environ, settings.pass_environment, database) | settings.environment()
    if program in {"torchserve", "envoy"}:
        os.chdir(settings.run)  # TorchServe's key_file.json lands in its working directory
    os.execve(command[0], command, environment)  # noqa: S606 - becomes the program, so that it receives signals


if __name__ == "__main__":
    main(sys.argv[1])
