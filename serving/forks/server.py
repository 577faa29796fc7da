"""The fork server, `python -m serving.forks.server SOCKET`: imports what workers need, forks one at each connection.

`handlers` and `models` are not imported: each archive brings its own. The child reads the request itself, so that the
server cannot hang at a client; it holds the connection, so that it outlives the server.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path

from serving.forks import child

ROOT = Path(__file__).resolve().parents[2]
# What handlers of ours and of others import, and what ts/model_service_worker.py does.
PRELOADED = (
    *("numpy", "torch", "torchvision", "torchvision.io", "torchvision.transforms.v2", "captum.attr"),
    *("PIL.Image", "safetensors.torch", "orjson", "jieba", "ts.model_service_worker"),
)


def preload() -> None:
    """Import, and do once what every worker would do after its imports. What is not installed is left out."""
    for name in PRELOADED:
        try:
            import_module(name)
        except ImportError as fault:
            print(f"not preloaded: {fault}", file=sys.stderr)
    if jieba := sys.modules.get("jieba"):
        jieba.initialize()  # the dictionary, 350,000 words
    if pillow := sys.modules.get("PIL.Image"):
        pillow.init()  # the plugins of all formats

    if stock := sys.modules.get("ts.model_service_worker"):
        from serving.forks import worker  # torch comes with it: the server listens first

        child.stands_in = (Path(str(stock.__file__)).resolve(), worker.main)


def check() -> None:
    """Raises RuntimeError for what no fork survives: a second thread, which the child would lack, or CUDA's context."""
    import torch  # here, as all that is preloaded: the server listens first

    tasks = sum(1 for _ in Path("/proc/self/task").iterdir())  # OpenMP's pool is in it, and every other
    if tasks != 1:
        raise RuntimeError(f"{tasks} threads before the first fork")
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        raise RuntimeError("CUDA was initialised before the first fork")


class Server:
    """Forks a child at each connection, and tells its shim how it ended."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._shims: dict[int, socket.socket] = {}  # by the child's pid
        self._wakeup, writer = socket.socketpair()  # readable when a child died
        writer.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler nothing is written to the wakeup socket
        signal.set_wakeup_fd(writer.fileno())
        self._sockets = (listener, self._wakeup, writer)

    def run(self) -> None:
        """For ever."""
        while True:
            ready, _, _ = select.select([self._listener, self._wakeup], [], [])
            if self._wakeup in ready:
                self._wakeup.recv(4096)
                self._reap()
            if self._listener in ready:
                self._fork()

    def _fork(self) -> None:
        shim, _ = self._listener.accept()
        try:
            pid = os.fork()
        except OSError as fault:  # out of memory or of processes: the shim tries again
            print(f"no fork: {fault}", file=sys.stderr)
            shim.close()
            return
        if pid == 0:
            self._leave()
            child.live(shim)
        self._shims[pid] = shim

    def _leave(self) -> None:
        """In the child: nothing of the server. A connection kept open here would hide another child's end."""
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
            with self._shims.pop(pid) as shim, contextlib.suppress(OSError):  # the shim may be gone: that was why
                shim.sendall(b"%d\n" % (code if code >= 0 else 128 - code))


def listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(128)
    return listener


def main(path: str) -> None:
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != ROOT]
    # NumPy's OpenBLAS starts its threads when it is imported. They would not be there in a child; one a worker is
    # enough, since torch computes without it.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    listener = listen(Path(path))  # first: shims that come during the imports wait, and know that they may
    preload()
    check()
    gc.collect()
    gc.freeze()  # a collection in a child must not write to what is shared
    Server(listener).run()


if __name__ == "__main__":
    main(sys.argv[1])
