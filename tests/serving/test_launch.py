"""The launcher: workers of an instance, and the commands that it becomes."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from marina.security import environment
from marina.serving import launch
from marina.serving.envoy import bootstrap, gateway
from marina.serving.torchserve import process as torchserve
from marina.settings import ROOT


class Info(dict):
    """A process as psutil describes it."""

    @property
    def info(self) -> dict:
        return dict(self)


def test_workers_are_identified_by_their_sockets_and_forks_by_their_name(settings, monkeypatch):
    fork, own = str(settings.fork_socket), f"{settings.sockets}/.ts.sock.9000"
    processes = [
        Info(name="worker-9000", cmdline=["python", "-m", "marina.serving.forkserver.server", fork]),
        Info(name="python", cmdline=["python", "shim.py", own]),
        Info(name="python", cmdline=["python", "-m", "marina.serving.forkserver.server", fork]),  # the server itself
        Info(name="worker-9000", cmdline=["python", "/other/forks.sock"]),
        Info(name="python", cmdline=["python", "/other/.ts.sock.9000"]),
        Info(name=None, cmdline=None),
    ]
    requested = []
    monkeypatch.setattr(launch.psutil, "process_iter", lambda fields: requested.append(fields) or processes)
    assert launch.worker_processes(settings) == processes[:2]
    assert requested == [["name", "cmdline"]]


def test_workers_that_are_left_are_killed(settings):
    assert launch.kill_workers(settings) is False
    command = [sys.executable, "-c", "input()", f"{settings.sockets}/.ts.sock.9000"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as worker:
        assert launch.kill_workers(settings) is True
        worker.wait()  # psutil may have taken its exit status
        assert not psutil.pid_exists(worker.pid)


def test_before_torchserve_starts_everything_of_the_last_one_is_removed(settings, monkeypatch):
    steps = []
    monkeypatch.setattr(gateway, "close", lambda of, models: steps.append(("close", settings.key_file.exists())))
    monkeypatch.setattr(launch, "kill_workers", lambda of: steps.append(("end", settings.key_file.exists())))
    settings.key_file.touch()
    (settings.sockets / "models" / "x").mkdir(parents=True)
    for _ in range(2):
        launch.prepare_torchserve(settings)
        assert not settings.key_file.exists()
        assert not (settings.sockets / "models").exists()
    assert steps[:2] == [("close", True), ("end", False)]


@pytest.fixture
def became(monkeypatch, settings):
    """The program that `launch.main` becomes, and the steps before it."""
    steps: list = []
    monkeypatch.chdir(settings.var)
    monkeypatch.setattr(launch, "die_with_parent", lambda: steps.append("tied"))
    monkeypatch.setattr(launch, "prepare_torchserve", lambda of: steps.append(("prepared", of)))
    monkeypatch.setattr(torchserve, "render", lambda of: steps.append(("rendered", of)))
    monkeypatch.setattr(torchserve, "environment", lambda of: {"of": "torchserve"})
    monkeypatch.setattr(torchserve, "command", lambda of: ["java", "x"])
    monkeypatch.setattr(gateway, "binary", lambda: "/bin/envoy")
    monkeypatch.setattr(bootstrap, "render", lambda of: steps.append(("bootstrap", of)))
    monkeypatch.setattr(launch.os, "umask", lambda mask: steps.append(f"umask {mask:o}"))
    monkeypatch.setattr(launch.os, "execve", lambda *program: steps.append((*program, str(Path.cwd()))))
    return steps


def test_the_fork_server_gets_the_environment_of_workers(became, settings):
    launch.main("forks")
    command = [sys.executable, "-m", "marina.serving.forkserver.server", str(settings.fork_socket)]
    command += [str(settings.gallery), ""]
    assert settings.gallery.is_dir()
    assert became == ["umask 77", "tied", (sys.executable, command, {"of": "torchserve"}, str(settings.var))]


def test_torchserve_starts_in_the_folder_of_its_keys(became, settings):
    launch.main("torchserve")
    made = [("prepared", settings), ("rendered", settings)]
    assert became == ["umask 77", "tied", *made, ("java", ["java", "x"], {"of": "torchserve"}, str(settings.run))]


def test_envoy_starts_with_its_bootstrap(became, settings):
    launch.main("envoy")
    options = ["--disable-hot-restart", *bootstrap.LOG_OPTIONS, "--file-flush-interval-msec", "200"]
    command = ["/bin/envoy", "-c", f"{settings.run}/envoy.json", *options]
    assert became == [
        "umask 77",
        "tied",
        ("bootstrap", settings),
        ("/bin/envoy", command, environment.kept(os.environ), str(settings.run)),
    ]


def test_envoy_starts_with_its_last_configuration_if_the_disk_is_full(became, settings, monkeypatch, capsys):
    def full(_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bootstrap, "render", full)
    with pytest.raises(OSError, match="No space left"):
        launch.main("envoy")  # there is no earlier one
    bootstrap.bootstrap_file(settings).write_text("{}")
    launch.main("envoy")
    assert became[-1][0] == "/bin/envoy"
    assert capsys.readouterr().err.startswith("Envoy starts with the configuration of its last start: ")


def test_control_is_the_module_of_the_api(became, settings):
    launch.main("control")
    command = [sys.executable, "-m", "marina.api.app"]
    variables = environment.kept(os.environ) | settings.environment()
    assert became == ["umask 77", "tied", (sys.executable, command, variables, str(settings.var))]


def test_workers_may_read_folders_that_the_user_names_or_everything(became, settings, monkeypatch):
    for variables, more in (
        ({"MARINA_WORKER_FOLDERS": "/data:/more"}, [str(settings.gallery), "/data:/more"]),
        ({"MARINA_CONFINE": "false"}, []),
    ):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        launch.main("forks")
        assert became[-1][1][4:] == more


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_program_dies_with_the_supervisor():
    code = "import ctypes; from marina.serving import launch; launch.die_with_parent(); found = ctypes.c_int(); "
    code += "ctypes.CDLL(None).prctl(2, ctypes.byref(found)); print(found.value)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "9\n"
