"""The watchdog: which processes it kills, and that it kills no other."""

import subprocess

import httpx
import psutil
import pytest

from marina.serving import watchdog
from marina.serving.watchdog import Watchdog
from tests.serve.support.bundle import eventually


class Probes:
    """Liveness of each program, as the test sets it."""

    def __init__(self, **responds: bool) -> None:
        self.responds = responds

    def of(self, name: str):
        return lambda: self.responds[name]


def watched(**responds: bool) -> tuple[Watchdog, Probes]:
    found = Probes(**responds)
    return Watchdog({name: found.of(name) for name in responds}), found


@pytest.mark.parametrize(("name", "limit"), watchdog.SILENT_SECONDS.items())
def test_a_program_that_was_silent_for_its_limit_is_killed(name, limit):
    dog, probes = watched(**{name: True})
    assert dog.check({name: 7}, [], 0) == {}
    probes.responds[name] = False
    for second in range(int(limit)):
        assert dog.check({name: 7}, [], 1 + second) == {}
    assert dog.check({name: 7}, [], 1 + limit) == {7: f"{name} did not respond for {limit:g} s"}


def test_a_watchdog_that_was_late_itself_begins_to_count_again():
    dog, probes = watched(envoy=True)
    dog.check({"envoy": 7}, [], 0)
    probes.responds["envoy"] = False
    for now in (1, 5, 9, 10, 16, 20, 25):  # 6 s between two
        assert dog.check({"envoy": 7}, [], now) == {}
    assert list(dog.check({"envoy": 7}, [], 26)) == [7]


def test_one_response_ends_the_silence():
    dog, probes = watched(envoy=True)
    dog.check({"envoy": 7}, [], 0)
    for now, responds in enumerate([False, False, True, False, False, False]):
        probes.responds["envoy"] = responds
        assert dog.check({"envoy": 7}, [], now) == {}


def test_a_program_that_is_starting_is_not_silent_nor_is_its_successor():
    dog, probes = watched(torchserve=False)
    for now in (0, 100, 200):
        assert dog.check({"torchserve": 7}, [], now) == {}
    probes.responds["torchserve"] = True
    dog.check({"torchserve": 7}, [], 300)
    probes.responds["torchserve"] = False
    for now in range(301, 340):
        assert dog.check({"torchserve": 8}, [], now) == {}
    assert dog.check({}, [], 600) == {}


def suspended(pid: int) -> psutil.Process:
    """Stop a process; return it once the system reports it as stopped."""
    process = psutil.Process(pid)
    process.suspend()
    eventually(lambda: process.status() == psutil.STATUS_STOPPED, "stopped", 10)
    return process


def test_a_stopped_process_is_killed_whether_program_or_worker():
    with subprocess.Popen(["sleep", "100"]) as program, subprocess.Popen(["sleep", "100"]) as worker:
        dog, _ = watched()
        try:
            suspended(program.pid)
            workers = [suspended(worker.pid)]
            assert dog.check({"forks": program.pid}, workers, 0) == {}
            found = dog.check({"forks": program.pid}, workers, watchdog.STOPPED_SECONDS)
            assert found == {
                program.pid: "forks was stopped by a signal",
                worker.pid: "a worker was stopped by a signal",
            }
            for pid, reason in found.items():
                watchdog.kill(pid, reason)
            assert (program.wait(10), worker.wait(10)) == (-9, -9)
        finally:
            for each in (program, worker):
                each.kill()


def test_a_process_that_was_continued_is_left_alone():
    with subprocess.Popen(["sleep", "100"]) as program:
        dog, process = watched()[0], suspended(program.pid)
        try:
            dog.check({"forks": program.pid}, [], 0)
            process.resume()
            eventually(lambda: process.status() != psutil.STATUS_STOPPED, "continued", 10)
            assert dog.check({"forks": program.pid}, [], 1) == {}
            suspended(program.pid)
            assert dog.check({"forks": program.pid}, [], 2) == {}
        finally:
            process.kill()


def test_a_process_that_has_ended_is_no_error(caplog):
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    assert watched()[0].check({"forks": ended.pid}, [], 0) == {}
    watchdog.kill(ended.pid, "it was stopped")
    assert f"killed process {ended.pid}: it was stopped" in caplog.text


def test_the_probes_need_no_key_and_any_response_counts(settings, network):
    found = watchdog.probes(settings)
    network.handler = lambda request: httpx.Response(503)
    assert [probe() for probe in found.values()] == [True, True, True]
    paths = [f"{request.method} {request.url.path}" for request in network.requests]
    assert paths == ["GET /ready", "GET /live", "OPTIONS /"]

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    network.handler = refuse
    assert [probe() for probe in found.values()] == [False, False, False]
