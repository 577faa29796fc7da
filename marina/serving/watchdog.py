"""Watchdog: kills processes that live but don't respond, so that the supervisor or TorchServe starts others.

`python -m marina.serving.watchdog` runs it, beside the programs that it watches. A program is silent if its liveness
request fails again and again; a process that was stopped by a signal (state T) responds to nothing. A worker that is
busy for too long is TorchServe's own affair: it ends it after the response timeout.
"""

import logging
import time
import xmlrpc.client
from collections.abc import Callable, Mapping

import httpx
import psutil

from marina.serving import supervisor
from marina.serving.launch import worker_processes
from marina.settings import LOOPBACK, Settings

logger = logging.getLogger("marina.serving.watchdog")  # its name also where this module is run as __main__

POLL_SECONDS = 1.0
RESPONSE_SECONDS = 1.0
STOPPED_SECONDS = 2.0
# Seconds of silence until a program is killed. On a machine without free processor time a program is late, not dead;
# and a restart of TorchServe loads every model again.
SILENT_SECONDS = {"envoy": 10.0, "control": 30.0, "torchserve": 30.0}
# Where the watchdog itself was late by that much, the silence of others proves nothing.
LATE_SECONDS = 5.0

Probe = Callable[[], bool]


def probes(settings: Settings) -> dict[str, Probe]:
    """Return the liveness request of each program by its name; the fork server has none."""
    unix = {"envoy": settings.admin_socket, "control": settings.control_socket}
    clients = {
        name: httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)), base_url=f"http://{name}", timeout=RESPONSE_SECONDS
        )
        for name, socket in unix.items()
    }
    torchserve = httpx.Client(
        base_url=f"http://{LOOPBACK}:{settings.inference_port}", timeout=RESPONSE_SECONDS, trust_env=False
    )
    return {
        "envoy": lambda: _responds(clients["envoy"], "GET", "/ready"),
        "control": lambda: _responds(clients["control"], "GET", "/live"),
        "torchserve": lambda: _responds(torchserve, "OPTIONS", "/"),  # the one request that needs no key
    }


def _responds(client: httpx.Client, method: str, path: str) -> bool:
    """Return whether there is a response, whatever its status."""
    try:
        client.request(method, path)
    except httpx.TransportError:
        return False
    return True


class Watchdog:
    """Record of which process has been silent since when."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self._responded: set[int] = set()  # pids: until its first response a program is starting, not silent
        self._silent_since: dict[int, float] = {}
        self._stopped_since: dict[int, float] = {}
        self._checked_at: float | None = None

    def check(self, programs: Mapping[str, int], workers: list[psutil.Process], now: float) -> dict[int, str]:
        """Return the pids to kill, each with the reason; `programs` are pids by name, `now` is a monotonic time."""
        if self._checked_at is not None and now - self._checked_at > LATE_SECONDS:
            self._silent_since.clear()
        self._checked_at = now
        found = {}
        processes = {pid: name for name, pid in programs.items()} | {worker.pid: "a worker" for worker in workers}
        for pid, name in processes.items():
            if self._since(self._stopped_since, pid, _is_stopped(pid), now) >= STOPPED_SECONDS:
                found[pid] = f"{name} was stopped by a signal"
        for name, probe in self._probes.items():
            pid = programs.get(name)
            if pid is None or pid in found:
                continue
            responds = probe()
            if responds:
                self._responded.add(pid)
            silent = not responds and pid in self._responded
            if self._since(self._silent_since, pid, silent, now) >= SILENT_SECONDS[name]:
                found[pid] = f"{name} did not respond for {SILENT_SECONDS[name]:g} s"
        self._responded &= processes.keys()
        return found

    @staticmethod
    def _since(table: dict[int, float], pid: int, failing: bool, now: float) -> float:
        """Return for how many seconds the process has been failing without a break."""
        if not failing:
            table.pop(pid, None)
            return 0.0
        return now - table.setdefault(pid, now)


def _is_stopped(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def kill(pid: int, reason: str) -> None:
    """Kill a process, which may have ended by itself meanwhile."""
    logger.warning("killed process %d: %s", pid, reason)
    try:
        psutil.Process(pid).kill()
    except psutil.NoSuchProcess:
        logger.info("process %d had ended before", pid)


def main() -> None:
    """Watch until a signal comes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-5s %(name)s - %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = Settings()
    watchdog = Watchdog(probes(settings))
    while True:
        time.sleep(POLL_SECONDS)
        try:
            running = supervisor.programs(settings)
        except (OSError, xmlrpc.client.Error) as exc:  # the supervisor is ending, and ends this process, too
            logger.info("the supervisor does not respond: %s", exc)
            continue
        programs = {name: int(entry["pid"]) for name, entry in running.items() if entry["pid"]}
        for pid, reason in watchdog.check(programs, worker_processes(settings), time.monotonic()).items():
            kill(pid, reason)


if __name__ == "__main__":
    main()
