"""A bundle whose workers are forks: whichever process is killed, requests succeed again, and no process is left."""

import os
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from marina.packaging.sign import sign
from marina.serving import launch, supervisor
from tests.serve.support.bundle import Bundle, bundle_in, eventually
from tests.serve.support.load import Load

pytestmark = [
    pytest.mark.serve,
    pytest.mark.skipif(sys.platform != "linux", reason="no fork server elsewhere than on Linux"),
]
INITIALIZE = b"    def initialize(self, context):\n"
LOUD = b"""
        import handlers
        print("printed by", handlers.NAME, flush=True)
        os.write(1, b"printed on stdout\\n")
        os.write(2, b"printed on stderr\\n")
"""


def make_loud(archive: Path, keys: Path) -> None:
    """Add a package `handlers` to the archive, and make its handler print that it imported that package."""
    with zipfile.ZipFile(archive) as mar:
        files = {name: mar.read(name) for name in mar.namelist()}
    files["handlers/__init__.py"] = b"NAME = 'handlers of its own'\n"
    files["dummy_handler.py"] = files["dummy_handler.py"].replace(INITIALIZE, INITIALIZE + LOUD)
    with zipfile.ZipFile(archive, "w") as mar:
        for name, content in files.items():
            mar.writestr(name, content)
    sign(archive, keys)


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    instance.pack("beta")
    make_loud(instance.pack("alpha"), instance.keys)
    instance.do("serve")
    return instance


def server_of(bundle: Bundle) -> int:
    return supervisor.programs(bundle.settings)["forks"]["pid"]


def shim_of(worker: int) -> int:
    """The process that TorchServe takes for the worker."""
    number = psutil.Process(worker).name().removeprefix("worker-")
    (shim,) = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(argument.endswith(f"/.ts.sock.{number}") for argument in process.info["cmdline"] or ())
        and process.environ()["TMPDIR"] == psutil.Process(worker).environ()["TMPDIR"]
    ]
    return shim


def steady(bundle: Bundle, name: str) -> Load:
    return Load(f"{bundle.settings.url}/predictions/{name}", rate=20)


def last_pid(load: Load) -> int:
    """Return the pid of the worker that responded last; 0 if the last request failed."""
    return load.responses[-1].pid if load.responses else 0


def test_workers_are_forks(bundle: Bundle):
    for name in ("alpha", "beta"):
        (pid,) = bundle.worker_pids(name)
        assert bundle.http.post(f"/predictions/{name}", json={}).json()["pid"] == pid
        assert psutil.Process(pid).ppid() == server_of(bundle)
        assert psutil.Process(shim_of(pid)).ppid() == supervisor.programs(bundle.settings)["torchserve"]["pid"]


def test_the_output_of_a_worker_is_in_the_log(bundle: Bundle):
    log = (bundle.settings.logs / "models.log").read_text()
    for line in ("stdout - printed on stdout", "stderr - printed on stderr", "stdout - printed by handlers of its own"):
        assert f"alpha_1.0-{line}" in log


def test_torchserve_gets_its_system_metrics(bundle: Bundle):
    """TorchServe collects them by another script, with the shim as its Python."""
    eventually(lambda: "MemoryUsed{" in bundle.http.get("/metrics").text, "a metric of the system")


@pytest.mark.parametrize("victim", [int, shim_of], ids=["child", "shim"])
def test_a_killed_worker_is_replaced(bundle: Bundle, victim: Callable[[int], int]):
    (worker,) = bundle.worker_pids("alpha")
    with steady(bundle, "alpha") as load, steady(bundle, "beta") as other:
        eventually(lambda: last_pid(load) == worker and other.responses, "responses before anything is killed")
        processes = [psutil.Process(worker), psutil.Process(shim_of(worker))]
        os.kill(victim(worker), signal.SIGKILL)
        eventually(lambda: last_pid(load) not in {0, worker}, "a response again", 120)
        assert not any(process.is_running() for process in processes), "one lives without the other"
    assert not other.failed
    eventually(bundle.is_ready, "ready again")


def test_killing_the_fork_server_loses_no_request(bundle: Bundle):
    server, (worker,) = server_of(bundle), bundle.worker_pids("alpha")
    with steady(bundle, "alpha") as load:
        eventually(lambda: last_pid(load) == worker, "a response before anything is killed")
        os.kill(server, signal.SIGKILL)
        eventually(lambda: server_of(bundle) not in {0, server}, "the server is restarted")
        bundle.do("scale", "alpha", "1.0", "2")
        eventually(lambda: len(bundle.worker_pids("alpha")) == 2 and bundle.is_ready(), "a second worker", 120)
        (new,) = set(bundle.worker_pids("alpha")) - {worker}
        assert psutil.Process(new).ppid() == server_of(bundle)
        eventually(lambda: {worker, new} <= {response.pid for response in load.responses[-50:]}, "both respond")
    assert not load.failed


def test_scaling_down_and_retiring_leave_no_process(bundle: Bundle):
    def forks() -> set[int]:
        """Children of the server, zombies among them, and what else works."""
        family = psutil.Process(server_of(bundle)).children()
        return {each.pid for each in (*family, *launch.worker_processes(bundle.settings))}

    def worked_by(pids: list[int]) -> bool:
        return forks() == {*pids, *map(shim_of, pids)}

    bundle.do("scale", "beta", "1.0", "3")
    eventually(lambda: len(bundle.worker_pids("beta")) == 3 and bundle.is_ready(), "three workers", 120)
    bundle.do("scale", "beta", "1.0", "1")
    (one,) = eventually(lambda: len(pids := bundle.worker_pids("beta")) == 1 and pids, "one worker", 120)
    eventually(lambda: worked_by([one, *bundle.worker_pids("alpha")]), "two of beta's are gone")
    bundle.do("retire", "alpha", "1.0")
    eventually(lambda: "alpha" not in bundle.control().json()["models"], "alpha is retired", 120)
    eventually(lambda: worked_by([one]), "alpha's are gone")


def test_the_error_of_a_model_that_does_not_load_is_reported(bundle: Bundle):
    bundle.pack("broken", broken=True)
    refused = bundle.run("register", "broken")
    assert refused.returncode == 1
    assert "this model is broken on purpose" in refused.stderr
    bundle.do("retire", "broken", "1.0")


def test_stop_ends_children_whose_server_was_killed(bundle: Bundle):
    (worker,) = map(psutil.Process, bundle.worker_pids("beta"))
    worker.suspend()  # or it would see that TorchServe is gone, and end by itself
    os.kill(server_of(bundle), signal.SIGKILL)
    supervisor.process(bundle.settings).kill()
    eventually(lambda: len(bundle.processes()) == 2, "no program is left, but the worker and its shim")
    bundle.do("stop")
    assert bundle.processes() == []


def test_marina_fork_false_turns_the_fork_server_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MARINA_FORK", "false")
    (tmp_path / "store").mkdir()
    with bundle_in(tmp_path, tmp_path / "store") as bundle:
        bundle.pack("alpha")
        bundle.do("serve")
        (worker,) = map(psutil.Process, bundle.worker_pids("alpha"))
        assert "forks" not in supervisor.programs(bundle.settings)
        assert worker.cmdline()[0] == sys.executable
        assert worker.ppid() == supervisor.programs(bundle.settings)["torchserve"]["pid"]
