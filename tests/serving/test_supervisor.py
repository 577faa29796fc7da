"""The supervisor: its configuration, start, identification and stop."""

import os
import stat
import subprocess
import sys
from configparser import RawConfigParser

import psutil
import pytest

from marina.errors import MarinaError
from marina.serving import supervisor as supervise
from marina.settings import ROOT
from tests.serving.recorded_json import assert_recorded


@pytest.mark.parametrize("fork", [True, False])
def test_the_supervisors_configuration(settings, monkeypatch, fork):
    monkeypatch.setattr(sys, "platform", "linux")
    supervise.render(settings.model_copy(update={"fork": fork}))
    config = RawConfigParser()
    config.read(settings.run / "supervisord.conf")
    found = {name: dict(section) for name, section in config.items() if name != "DEFAULT"}
    password = found["unix_http_server"].pop("password")
    assert (len(password), password) == (43, supervise.password(settings))
    assert stat.S_IMODE(supervise.configuration(settings).stat().st_mode) == 0o600
    sockets = str(settings.sockets)  # elsewhere, if the temporary folder has a long path
    places = {sockets: "<var>/tmp", str(settings.var): "<var>", str(ROOT): "<root>", sys.executable: "<python>"}
    assert_recorded("supervisor" if fork else "supervisor_without_forks", found, {sys.executable: "<python>", **places})


def test_a_percent_sign_is_doubled(settings, tmp_path):
    made = settings.model_copy(update={"var": tmp_path / "100%"})
    made.make_folders()
    supervise.render(made)
    assert f"directory = {ROOT}" in supervise.configuration(made).read_text()
    assert f"logfile = {tmp_path}/100%%/logs/supervisord.log" in supervise.configuration(made).read_text()


@pytest.fixture
def supervisor(settings):
    """A process with the command line of this instance's supervisor, and a child."""
    code = "import subprocess as s; child = s.Popen(['sleep', '1000']); print(child.pid, flush=True); child.wait()"
    command = [sys.executable, "-c", code, str(supervise.configuration(settings))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        child = psutil.Process(int(process.stdout.readline()))
        supervise.pid_file(settings).write_text(str(process.pid))
        yield process, child
        for each in (process, child):
            if psutil.pid_exists(each.pid):
                each.kill()


def test_the_supervisor_is_identified_by_its_configuration(settings, supervisor):
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


def test_stopping_ends_the_supervisor_and_processes_that_outlived_it(settings, supervisor):
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
