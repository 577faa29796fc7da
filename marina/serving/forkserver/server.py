"""The fork server: it imports the dependencies of workers, and forks one at each connection.

Run by `python -m marina.serving.forkserver.server SOCKET [GALLERY [FOLDERS]]`. With GALLERY workers are confined: see
`confinement`.

`handlers` and `models` are not imported: each archive brings its own. The child reads the request itself, so that
no client can block the server; it holds the connection, so that it outlives the server.
"""

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import struct
import sys
from importlib import import_module
from pathlib import Path

from marina.serving.forkserver import child, confinement

ROOT = Path(__file__).resolve().parents[3]  # as marina.settings.ROOT, without importing pydantic into every worker
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
# Imports of our handlers, of common foreign ones, and of ts/model_service_worker.py.
PRELOADED = (
    *("numpy", "torch", "torchvision", "torchvision.io", "torchvision.transforms.v2", "captum.attr"),
    *("PIL.Image", "safetensors.torch", "orjson", "jieba", "ts.model_service_worker"),
)


def preload() -> None:
    """Import the dependencies and run what every worker would run after them. Packages that are missing are skipped."""
    for name in PRELOADED:
        try:
            import_module(name)
        except ImportError as exc:
            print(f"not preloaded: {exc}", file=sys.stderr)
    if jieba := sys.modules.get("jieba"):
        jieba.initialize()  # the dictionary, 350,000 words
    if pillow := sys.modules.get("PIL.Image"):
        pillow.init()  # the plugins of all formats

    if stock := sys.modules.get("ts.model_service_worker"):
        from marina.serving.forkserver import worker  # it imports torch, and the server listens first

        child.replacement = (Path(str(stock.__file__)).resolve(), worker.main)


def check() -> None:
    """Check that forking is safe.

    Raises RuntimeError for a second thread, which the child would lack, and for CUDA's context, which no fork survives.
    """
    import torch  # here, because the server listens first

    tasks = sum(1 for _ in Path("/proc/self/task").iterdir())  # includes OpenMP's pool and every other
    if tasks != 1:
        raise RuntimeError(f"{tasks} threads before the first fork")
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        raise RuntimeError("CUDA was initialised before the first fork")


class Server:
    """Server that forks a child at each connection, and sends its exit code to the shim."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._shims: dict[int, socket.socket] = {}  # by the child's pid
        self._wakeup, writer = socket.socketpair()  # readable when a child died
        writer.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler nothing is written to the wakeup socket
        signal.set_wakeup_fd(writer.fileno())
        self._sockets = (listener, self._wakeup, writer)

    def run(self) -> None:
        """Serve until the process ends."""
        while True:
            ready, _, _ = select.select([self._listener, self._wakeup], [], [])
            if self._wakeup in ready:
                self._wakeup.recv(4096)
                self._reap()
            if self._listener in ready:
                self._fork()

    def _fork(self) -> None:
        shim, _ = self._listener.accept()
        if descends_from(os.getpid(), peer_of(shim)):
            print("a worker requested a process: refused", file=sys.stderr)
            shim.close()
            return
        try:
            pid = os.fork()
        except OSError as exc:  # out of memory or of processes: the shim tries again
            print(f"no fork: {exc}", file=sys.stderr)
            shim.close()
            return
        if pid == 0:
            self._leave()
            child.run_child(shim)
        self._shims[pid] = shim

    def _leave(self) -> None:
        """Close the server's sockets in the child: an open connection would hide another child's end."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (*self._sockets, *self._shims.values()):
            each.close()

    def _reap(self) -> None:
        while self._shims:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            shim = self._shims.pop(pid, None)  # None: a process that a worker had left
            if shim is None:
                continue
            with shim, contextlib.suppress(OSError):  # the shim may be gone, which ended the child
                shim.sendall(b"%d\n" % (code if code >= 0 else 128 - code))


def adopt_orphans() -> None:
    """Become the parent of processes that workers leave behind, so that they are known to descend from a worker."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1)


def peer_of(connection: socket.socket) -> int:
    """Return the pid of the process that connected."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


def descends_from(ancestor: int, pid: int) -> bool:
    """Return True if `pid` is a descendant of `ancestor`; one that ended already counts as such.

    A worker that could order a fork would get one with rules, arguments and environment of its choice.
    """
    try:
        while pid > 1:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])  # the parent's pid
            if pid == ancestor:
                return True
    except (FileNotFoundError, ProcessLookupError):
        return True
    return False


def listen(path: Path) -> socket.socket:
    """Return a socket that listens at `path`; a file that is there is replaced."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(128)
    return listener


def main(path: str, gallery: str = "", folders: str = "") -> None:
    """Listen, import, and serve. `path` is that of the socket; workers may read `folders`, a list as in PATH."""
    if (ROOT / "config.properties").is_file():  # a checkout; in an installation ROOT is site-packages
        sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != ROOT]
    # NumPy's OpenBLAS starts its threads when it is imported, and a child would lack them. One thread for each worker
    # is enough, because torch computes without it.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    adopt_orphans()
    if gallery and (rules := confinement.of_workers(Path(path).parent, gallery, folders)):
        child.confine = rules.apply
    listener = listen(Path(path))  # first: shims that connect during the imports wait, instead of falling back
    preload()
    check()
    gc.collect()
    gc.freeze()  # a collection in a child must not write to shared pages
    Server(listener).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
