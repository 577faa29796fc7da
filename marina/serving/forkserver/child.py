"""The forked child: it takes over the process state that TorchServe would have started a worker with, and runs it."""

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

NAME = "worker-"  # in ps and top: worker-9003 is W-9003-<model>_<version> of TorchServe's log


class Request(NamedTuple):
    """The shim's message (see shim.request), with its standard input, output and error as descriptors."""

    folder: bytes
    argv: list[str]
    environment: dict[bytes, bytes]
    descriptors: list[int]


# The file of TorchServe's worker, and the function that runs instead, marina.serving.forkserver.worker.main. The
# server sets it before the first fork, because it needs torch, and our root is not on the child's path.
replacement: tuple[Path, Callable[[list[str]], int]] | None = None


# Confines the worker with a number and a model's folder, and returns its temporary folder. Set by the server, too.
confine: Callable[[str, Path], Path] | None = None


def work(argv: list[str]) -> None:
    """Run a script, and our own worker instead of TorchServe's."""
    if replacement is not None and Path(argv[0]).resolve() == replacement[0]:
        sys.exit(replacement[1](argv[1:]))
    runpy.run_path(argv[0], run_name="__main__")


def run_child(connection: socket.socket) -> NoReturn:
    """Run the child from the fork to its exit. The connection stays open meanwhile; its other end is the shim."""
    code = 1
    try:
        request = receive(connection)
        kill_on_close(connection)
        connection.sendall(b"forked\n")
        set_up_process(request)
        code = run(request.argv)
        with contextlib.suppress(OSError):  # the reader is gone
            sys.stdout.flush()
            sys.stderr.flush()
        connection.sendall(b"%d\n" % code)  # the fork server sends it, too, unless it has died
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)  # no clean-up of shared objects: it would copy every page


def receive(connection: socket.socket) -> Request:
    """Return the shim's request; raises EOFError if the shim is gone."""
    data, descriptors, _, _ = socket.recv_fds(connection, 65536, 3)
    while len(data) < 8 or len(data) < 8 + int.from_bytes(data[:8], "big"):
        part = connection.recv(65536)
        if not part:
            raise EOFError("the shim closed the connection before it sent its request")
        data += part
    folder, count, *rest = data[8:].split(b"\0")
    argv, variables = rest[: int(count)], rest[int(count) :]
    environment = {name: value for name, _, value in (variable.partition(b"=") for variable in variables)}
    return Request(folder, list(map(os.fsdecode, argv)), environment, descriptors)


def kill_on_close(connection: socket.socket) -> None:
    """Let the kernel kill this process when the shim's end closes; raises EOFError if it is closed already.

    TorchServe kills the shim with SIGKILL, which it can't forward. A thread would not do: it may wait for the
    interpreter's lock.
    """
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)
    with contextlib.suppress(BlockingIOError):  # the shim still lives
        connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        raise EOFError("the shim closed the connection before the worker started")


def set_up_process(request: Request) -> None:
    """Set descriptors, session, name, environment, working directory and arguments, as for a new process."""
    for target, descriptor in enumerate(request.descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.setsid()  # a signal to the fork server's group is not for its children
    number = request.argv[4].rpartition(".")[2]  # --sock-name <path>.<number>
    Path("/proc/self/comm").write_text(NAME + number)
    os.environb.clear()
    os.environb.update(request.environment)
    os.chdir(request.folder)
    if confine is not None:
        temporary = str(confine(str(int(number)), Path.cwd()))
        # Libraries keep caches below HOME, which a confined worker can't read, and some fail without.
        os.environ |= dict.fromkeys(("TMPDIR", "TEMP", "HOME", "XDG_CACHE_HOME"), temporary)
    tempfile.tempdir = None  # cached from the server's environment
    sys.argv = request.argv
    sys.path[:0] = search_path(os.environ.get("PYTHONPATH", ""))
    unload_server_modules()
    reseed()


def search_path(pythonpath: str) -> list[str]:
    """Return PYTHONPATH's folders as `site` would: absolute, each once; an empty entry is the working directory."""
    folders = map(os.path.abspath, pythonpath.split(os.pathsep)) if pythonpath else ()
    return [folder for folder in dict.fromkeys(folders) if folder not in sys.path]


def unload_server_modules() -> None:
    """Remove `marina`, so that imports find the archive's own modules, and replace `__main__` by an empty module."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "marina"]:
        del sys.modules[name]
    sys.modules["__main__"] = ModuleType("__main__")


def reseed() -> None:
    """Seed NumPy and torch again. Python's `random` does so itself; CUDA's generators are seeded when CUDA starts."""
    import numpy as np  # here, because the fork server listens before it imports them
    import torch

    np.random.seed()
    torch.default_generator.seed()


def run(argv: list[str]) -> int:
    """Run the worker; return the exit code that Python would end with."""
    try:
        work(argv)
    except SystemExit as exc:
        if exc.code is None or isinstance(exc.code, int):
            return (exc.code or 0) & 0xFF
        print(exc.code, file=sys.stderr)
        return 1
    except BaseException:  # as Python does with an uncaught exception
        traceback.print_exc()
        return 1
    return 0
