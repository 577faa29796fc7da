"""A forked child on its way to work: it becomes what TorchServe would have started."""

import contextlib
import fcntl
import os
import runpy
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, NoReturn

NAME = "worker-"  # in ps and top: worker-9003 is what TorchServe's log calls W-9003-<model>_<version>


class Request(NamedTuple):
    """What the shim sends, see shim.request; its standard input, output and error come along as descriptors."""

    folder: bytes
    argv: list[str]
    environment: dict[bytes, bytes]
    descriptors: list[int]


# TorchServe's worker by its file, and what runs in its place (serving/forks/worker.py): the server sets it before the
# first fork, for it needs torch, and the child can't import it: our root is not on its path.
stands_in: tuple[Path, Callable[[list[str]], int]] | None = None


def work(argv: list[str]) -> None:
    """Our own worker in place of TorchServe's; any other script as it is."""
    if stands_in is not None and Path(argv[0]).resolve() == stands_in[0]:
        sys.exit(stands_in[1](argv[1:]))
    runpy.run_path(argv[0], run_name="__main__")


def live(connection: socket.socket) -> NoReturn:
    """From the fork to the end. The connection lives as long as the child; its other end is the shim."""
    code = 1
    try:
        request = receive(connection)
        die_with(connection)
        connection.sendall(b"forked\n")
        become(request)
        code = run(request.argv)
        with contextlib.suppress(OSError):  # nobody reads any more
            sys.stdout.flush()
            sys.stderr.flush()
        connection.sendall(b"%d\n" % code)  # the fork server says it, too, unless it has died
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)  # no clean-up of what is shared: it would copy every page


def receive(connection: socket.socket) -> Request:
    """Raises EOFError if the shim is gone."""
    data, descriptors, _, _ = socket.recv_fds(connection, 65536, 3)
    while len(data) < 8 or len(data) < 8 + int.from_bytes(data[:8], "big"):
        part = connection.recv(65536)
        if not part:
            raise EOFError("the shim went away before it said what to run")
        data += part
    folder, count, *rest = data[8:].split(b"\0")
    argv, variables = rest[: int(count)], rest[int(count) :]
    environment = {name: value for name, _, value in (variable.partition(b"=") for variable in variables)}
    return Request(folder, list(map(os.fsdecode, argv)), environment, descriptors)


def die_with(connection: socket.socket) -> None:
    """The kernel kills this process when the shim's end closes: TorchServe kills with SIGKILL, which no shim passes on.

    No thread could do it: one that waits for the interpreter's lock is late.
    """
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)
    with contextlib.suppress(BlockingIOError):  # which says that the shim still lives
        connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        raise EOFError("the shim went away before work began")


def become(request: Request) -> None:
    """Everything that a program finds when it starts."""
    for target, descriptor in enumerate(request.descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.setsid()  # a signal to the fork server's group is not for its children
    Path("/proc/self/comm").write_text(NAME + request.argv[4].rpartition(".")[2])  # --sock-name <path>.<number>
    os.environb.clear()
    os.environb.update(request.environment)
    os.chdir(request.folder)
    tempfile.tempdir = None  # what it was by the server's environment
    sys.argv = request.argv
    sys.path[:0] = search_path(os.environ.get("PYTHONPATH", ""))
    forget_server()
    reseed()


def search_path(pythonpath: str) -> list[str]:
    """PYTHONPATH as `site` leaves it: absolute, each folder once; an empty entry is the working directory."""
    folders = map(os.path.abspath, pythonpath.split(os.pathsep)) if pythonpath else ()
    return [folder for folder in dict.fromkeys(folders) if folder not in sys.path]


def forget_server() -> None:
    """`import serving` must find what the archive brings, and `__main__` is to be the worker's."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "serving"]:
        del sys.modules[name]
    sys.modules["__main__"] = ModuleType("__main__")


def reseed() -> None:
    """Random numbers of its own; Python's `random` sees to itself. CUDA's are drawn when CUDA starts."""
    import numpy as np  # here, since the fork server listens before it imports these
    import torch

    np.random.seed()
    torch.default_generator.seed()


def run(argv: list[str]) -> int:
    """Work; the exit code that Python would end with."""
    try:
        work(argv)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:  # as Python does with whatever nobody caught
        traceback.print_exc()
        return 1
    return 0
