"""Programs of a bundle: what the supervisor is told, and what each of them becomes."""

import os
import subprocess
import sys
from configparser import RawConfigParser

import psutil
import pytest

from serving import bootstrap, gateway, launch, supervise, torchserve
from serving.errors import MarinaError
from serving.settings import ROOT
from tests.serve.units.recorded import assert_recorded


@pytest.mark.parametrize("fork", [True, False])
def test_the_supervisors_configuration(settings, monkeypatch, fork):
    monkeypatch.setattr(sys, "platform", "linux")
    supervise.render(settings.model_copy(update={"fork": fork}))
    config = RawConfigParser()
    config.read(settings.run / "supervisord.conf")
    found = {name: dict(section) for name, section in config.items() if name != "DEFAULT"}
    places = {str(settings.var): "<var>", str(ROOT): "<root>", sys.executable: "<python>"}
    assert_recorded("supervisor" if fork else "supervisor_without_forks", found, {sys.executable: "<python>", **places})


def test_a_percent_sign_is_doubled(settings, tmp_path):
    made = settings.model_copy(update={"var": tmp_path / "100%"})
    made.make_folders()
    supervise.render(made)
    assert f"directory = {ROOT}" in supervise.configuration(made).read_text()
    assert f"logfile = {tmp_path}/100%%/logs/supervisord.log" in supervise.configuration(made).read_text()


@pytest.fixture
def supervisor(settings):
    """A process that looks like this instance's supervisor, with a child."""
    code = "import subprocess, sys; child = subprocess.Popen(['sleep', '1000']); print(child.pid, flush=True); child.wait()"
    command = [sys.executable, "-c", code, str(supervise.configuration(settings))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        child = psutil.Process(int(process.stdout.readline()))
        supervise.pid_file(settings).write_text(str(process.pid))
        yield process, child
        for each in (process, child):
            if psutil.pid_exists(each.pid):
                each.kill()


def test_the_supervisor_is_known_by_its_configuration(settings, supervisor):
    process, _ = supervisor
    assert supervise.process(settings).pid == process.pid
    supervise.pid_file(settings).write_text(str(os.getpid()))  # a pid that was used again
    assert supervise.process(settings) is None
    for text in ("", "99999999"):
        supervise.pid_file(settings).write_text(text)
        assert supervise.process(settings) is None
    supervise.pid_file(settings).unlink()
    assert supervise.process(settings) is None
    assert supervise.programs(settings) == {}


def test_stopping_ends_the_supervisor_and_whatever_outlived_it(settings, supervisor):
    process, child = supervisor
    assert supervise.stop(settings) is True
    process.wait()  # psutil may have taken its exit status
    assert not psutil.pid_exists(process.pid)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert supervise.stop(settings) is False


def test_a_supervisor_that_does_not_come_up_is_an_error_with_its_log(settings, monkeypatch):
    calls = []

    def run(command, **options):
        calls.append((command, options))
        return subprocess.CompletedProcess(command, 2, "", " bad \n")

    monkeypatch.setattr(supervise.subprocess, "run", run)
    (settings.logs / "supervisord.log").write_text("".join(f"line {number}\n" for number in range(9)))
    with pytest.raises(MarinaError) as failed:
        supervise.start(settings)
    assert str(failed.value) == "the supervisor did not start: bad\n" + "\n".join(
        f"line {number}" for number in range(4, 9)
    )
    ((command, options),) = calls
    assert command == [sys.executable, "-m", "supervisor.supervisord", "-c", str(settings.run / "supervisord.conf")]
    assert options.pop("env").items() >= {**settings.environment(), "PATH": os.environ["PATH"]}.items()
    assert options == {"cwd": ROOT, "capture_output": True, "text": True, "check": False}


def test_a_supervisor_that_came_up_is_waited_for(settings, monkeypatch):
    monkeypatch.setattr(
        supervise.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, "", "")
    )
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        supervise.socket(settings).touch()

    monkeypatch.setattr(supervise.time, "sleep", sleep)
    monkeypatch.setattr(supervise, "process", lambda _: True)
    supervise.start(settings)
    assert slept == [0.1]


class Info(dict):
    """What psutil says of a process."""

    @property
    def info(self) -> dict:
        return dict(self)


def test_workers_are_known_by_their_sockets_and_forks_by_their_name(settings, monkeypatch):
    fork, own = str(settings.fork_socket), f"{settings.sockets}/.ts.sock.9000"
    processes = [
        Info(name="worker-9000", cmdline=["python", "-m", "serving.forks.server", fork]),
        Info(name="python", cmdline=["python", "shim.py", own]),
        Info(name="python", cmdline=["python", "-m", "serving.forks.server", fork]),  # the server itself
        Info(name="worker-9000", cmdline=["python", "/other/forks.sock"]),
        Info(name="python", cmdline=["python", "/other/.ts.sock.9000"]),
        Info(name=None, cmdline=None),
    ]
    asked = []
    monkeypatch.setattr(launch.psutil, "process_iter", lambda fields: asked.append(fields) or processes)
    assert launch.workers(settings) == processes[:2]
    assert asked == [["name", "cmdline"]]


def test_workers_that_are_left_are_killed(settings):
    assert launch.end_workers(settings) is False
    command = [sys.executable, "-c", "input()", f"{settings.sockets}/.ts.sock.9000"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as worker:
        assert launch.end_workers(settings) is True
        worker.wait()  # psutil may have taken its exit status
        assert not psutil.pid_exists(worker.pid)


def test_before_torchserve_starts_nothing_of_the_last_one_is_left(settings, monkeypatch):
    steps = []
    monkeypatch.setattr(gateway, "close", lambda of: steps.append(("close", settings.key_file.exists())))
    monkeypatch.setattr(launch, "end_workers", lambda of: steps.append(("end", settings.key_file.exists())))
    settings.key_file.touch()
    (settings.sockets / "models" / "x").mkdir(parents=True)
    for _ in range(2):
        launch.prepare_torchserve(settings)
        assert not settings.key_file.exists()
        assert not (settings.sockets / "models").exists()
    assert steps[:2] == [("close", True), ("end", False)]


@pytest.fixture
def became(monkeypatch, settings):
    """What `launch.main` does: the program that it becomes, and what came before."""
    steps: list = []
    monkeypatch.chdir(settings.var)
    monkeypatch.setattr(launch, "die_with_parent", lambda: steps.append("tied"))
    monkeypatch.setattr(launch, "prepare_torchserve", lambda of: steps.append(("prepared", of)))
    monkeypatch.setattr(torchserve, "render", lambda of: steps.append(("rendered", of)))
    monkeypatch.setattr(torchserve, "environment", lambda of: {"of": "torchserve"})
    monkeypatch.setattr(torchserve, "command", lambda of: ["java", "x"])
    monkeypatch.setattr(gateway, "binary", lambda: "/bin/envoy")
    monkeypatch.setattr(bootstrap, "render", lambda of: steps.append(("bootstrap", of)))
    monkeypatch.setattr(launch.os, "execve", lambda *program: steps.append((*program, os.getcwd())))
    return steps


def test_the_fork_server_gets_the_environment_of_workers(became, settings):
    launch.main("forks")
    command = [sys.executable, "-m", "serving.forks.server", str(settings.fork_socket)]
    assert became == ["tied", (sys.executable, command, {"of": "torchserve"}, str(settings.var))]


def test_torchserve_starts_in_the_folder_of_its_keys(became, settings):
    launch.main("torchserve")
    made = [("prepared", settings), ("rendered", settings)]
    assert became == ["tied", *made, ("java", ["java", "x"], {"of": "torchserve"}, str(settings.run))]


def test_envoy_starts_with_its_bootstrap(became, settings):
    launch.main("envoy")
    options = ["--disable-hot-restart", "-l", "warning", "--file-flush-interval-msec", "200"]
    command = ["/bin/envoy", "-c", f"{settings.run}/envoy.json", *options]
    assert became == ["tied", ("bootstrap", settings), ("/bin/envoy", command, dict(os.environ), str(settings.run))]


def test_control_is_a_module_of_ours(became, settings):
    launch.main("control")
    command = [sys.executable, "-m", "control"]
    assert became == ["tied", (sys.executable, command, dict(os.environ), str(settings.var))]


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_program_dies_with_the_supervisor():
    code = "import ctypes; from serving import launch; launch.die_with_parent(); found = ctypes.c_int(); "
    code += "ctypes.CDLL(None).prctl(2, ctypes.byref(found)); print(found.value)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "9\n"
