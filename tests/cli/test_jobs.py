"""Jobs run side by side, each after those that it depends on."""

import signal
import subprocess
import sys
import time

import pytest

from marina.cli import jobs
from marina.cli.jobs import Job
from marina.errors import MarinaError
from marina.settings import ROOT


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Replace `python -m marina NAME STATUS`: it writes "+NAME" at its start and "-NAME" at its end to this file."""
    file = tmp_path / "log"
    (tmp_path / "marina.py").write_text(
        "import os, sys, time\n"
        f"log = lambda line: open({str(file)!r}, 'a').write(line + chr(10))\n"
        "log('+' + sys.argv[1] + ' ' + os.environ.get('OMP_NUM_THREADS', 'all'))\n"
        "time.sleep(0.3)\n"
        "log('-' + sys.argv[1])\n"
        "sys.exit(int(sys.argv[2]))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return file


def job(name: str, status: int = 0, after: tuple[str, ...] = ()) -> Job:
    return Job(name, (name, str(status)), frozenset(after))


def lines(log) -> list[str]:
    return [line.split()[0] for line in log.read_text().splitlines()]


def test_a_job_starts_after_those_that_it_depends_on(log):
    jobs.run([job("late", after=("early",)), job("early")], slots=2)
    assert lines(log) == ["+early", "-early", "+late", "-late"]


def test_jobs_run_side_by_side_but_no_more_than_there_are_slots(log):
    jobs.run([job("a"), job("b"), job("c")], slots=2)
    seen = lines(log)
    assert set(seen[:2]) == {"+a", "+b"}
    running = [sum(1 if line[0] == "+" else -1 for line in seen[:end]) for end in range(len(seen) + 1)]
    assert max(running) == 2


@pytest.mark.parametrize(("count", "cores", "threads"), [(1, 8, "all"), (2, 8, "4"), (2, 1, "1")])
def test_each_job_gets_its_share_of_the_cores(log, count, cores, threads):
    jobs.run([job(f"job{i}") for i in range(count)], slots=2, cores=cores)
    assert {line.split()[1] for line in log.read_text().splitlines() if line[0] == "+"} == {threads}


def test_the_users_own_number_of_threads_is_kept(log, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    jobs.run([job("a"), job("b")], slots=2, cores=8)
    assert "+a 3" in log.read_text()


def test_after_a_failure_nothing_new_starts_and_the_error_names_it(log):
    with pytest.raises(MarinaError, match="failed: bad; the reason is above"):
        jobs.run([job("bad", status=1), job("next", after=("bad",)), job("other")], slots=1)
    assert lines(log) == ["+bad", "-bad"]


def test_ctrl_c_waits_for_the_jobs(log, tmp_path):
    program = "from marina.cli import jobs; jobs.run([jobs.Job('a', ('a', '0'))], 1)"
    # The jobs' own `marina` is the one in tmp_path; the parent imports the real one.
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}"]
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # background shells ignore Ctrl-C
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, **heard) as parent:
        while not log.exists():
            time.sleep(0.05)
        parent.send_signal(signal.SIGINT)  # to the parent alone: the job ends by itself
        _, errors = parent.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert lines(log) == ["+a", "-a"]
