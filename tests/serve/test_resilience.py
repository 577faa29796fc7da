"""Processes that are killed restart, and readiness is false meanwhile."""

import os
import signal
import threading
import time

import httpx
import psutil
import pytest

from marina.cli import bundle_client
from marina.serving import supervisor
from tests.serve.support.bundle import Bundle, eventually

pytestmark = pytest.mark.serve


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    instance.pack("alpha")
    instance.pack("beta")
    instance.do("serve")
    return instance


class Watch:
    """Polls readiness on both ports, and a prediction of beta, while the block runs; `seen` holds the status codes."""

    def __init__(self, bundle: Bundle):
        self.bundle = bundle
        self.seen = {"control": set(), "public": set(), "predictions": set()}
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._poll, args=arguments)
            for arguments in (
                ("control", bundle_client.control(bundle.settings), "GET", "/status"),
                ("public", self._public(), "GET", "/ready"),
                ("predictions", self._public(), "POST", "/predictions/beta"),
            )
        ]

    def _public(self) -> httpx.Client:
        return httpx.Client(base_url=self.bundle.settings.url, timeout=30, trust_env=False)

    def _poll(self, name, client, method, path):
        with client:
            while not self._stopped.is_set():
                try:
                    self.seen[name].add(client.request(method, path).status_code)
                except httpx.TransportError:
                    self.seen[name].add("unreachable")
                time.sleep(0.1)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        eventually(lambda: all(self.seen.values()), "a response before anything is killed")
        return self

    def __exit__(self, *_):
        self._stopped.set()
        for thread in self._threads:
            thread.join()


def pid_of(bundle: Bundle, program: str) -> int:
    return supervisor.programs(bundle.settings)[program]["pid"]


def back(bundle: Bundle, program: str, pid: int):
    eventually(lambda: pid_of(bundle, program) not in {0, pid}, f"{program} is restarted")
    eventually(bundle.is_ready, "ready again", 120)
    for name in ("alpha", "beta"):
        assert bundle.http.post(f"/predictions/{name}", json={}).status_code == 200


def test_a_killed_worker(bundle: Bundle):
    (pid,) = bundle.worker_pids("alpha")
    with Watch(bundle) as watch:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: 503 in watch.seen["control"], "not ready")
        closed = bundle.http.post("/predictions/alpha", json={})
        eventually(lambda: bundle.control().status_code == 200, "ready again", 120)
    assert closed.status_code == 503
    assert "its worker died" in closed.json()["message"]
    assert bundle.worker_pids("alpha") != [pid]
    assert watch.seen["public"] == {200, 503}
    assert watch.seen["predictions"] == {200}  # the other model is not affected


def test_a_killed_torchserve(bundle: Bundle):
    pid, workers = pid_of(bundle, "torchserve"), bundle.worker_pids("alpha") + bundle.worker_pids("beta")
    with Watch(bundle) as watch:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: 503 in watch.seen["control"], "not ready")
        back(bundle, "torchserve", pid)
    assert watch.seen["control"] == {200, 503}
    assert watch.seen["public"] == {200, 503}
    assert watch.seen["predictions"] == {200, 503}  # never 400, TorchServe's response to an old key
    assert not [worker for worker in workers if psutil.pid_exists(worker)], "workers outlived their TorchServe"


def test_a_killed_envoy(bundle: Bundle):
    pid = pid_of(bundle, "envoy")
    with Watch(bundle) as watch:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: 503 in watch.seen["control"], "not ready")
        back(bundle, "envoy", pid)
    assert watch.seen["control"] == {200, 503}
    assert "unreachable" in watch.seen["public"]


def test_a_killed_control(bundle: Bundle):
    pid = pid_of(bundle, "control")
    with Watch(bundle) as watch:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: "unreachable" in watch.seen["control"], "control is gone")
        eventually(lambda: pid_of(bundle, "control") not in {0, pid}, "control is restarted")
        eventually(lambda: _ready(bundle), "ready again")
    assert watch.seen["predictions"] == {200}  # no request needs control


def _ready(bundle: Bundle) -> bool:
    try:
        return bundle.control().status_code == 200
    except httpx.TransportError:
        return False


def test_control_and_torchserve_killed_at_once(bundle: Bundle):
    pids = {program: pid_of(bundle, program) for program in ("control", "torchserve")}
    with Watch(bundle) as watch:
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not _ready(bundle), "not ready")
        eventually(lambda: _ready(bundle), "ready again", 120)
        back(bundle, "torchserve", pids["torchserve"])
    assert watch.seen["predictions"] == {200, 503}


@pytest.mark.parametrize("program", ["envoy", "control"])
def test_a_program_that_hangs_is_replaced(bundle: Bundle, program: str):
    pid = pid_of(bundle, program)
    psutil.Process(pid).suspend()
    back(bundle, program, pid)


def test_a_worker_that_hangs_is_replaced(bundle: Bundle):
    (pid,) = bundle.worker_pids("alpha")
    psutil.Process(pid).suspend()
    eventually(lambda: bundle.worker_pids("alpha") != [pid], "another worker")
    eventually(bundle.is_ready, "ready again", 120)
    assert bundle.http.post("/predictions/alpha", json={}).status_code == 200


def test_a_killed_supervisor_takes_everything_along(bundle: Bundle):
    supervisor.process(bundle.settings).kill()

    def command(process: psutil.Process) -> str:
        try:
            return " ".join(process.cmdline())
        except psutil.ZombieProcess:  # it has just died, and its parent has not waited for it yet
            return ""

    def left():
        commands = [command(each) for each in bundle.processes()]
        return [each for each in commands if each and "model_service_worker" not in each]

    eventually(lambda: not left(), "all programs are gone")
    bundle.run("stop")  # sweeps workers, which do not die with their JVM
    assert bundle.processes() == []
