"""Subprocesses that run side by side, each after those that it depends on."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from marina.errors import MarinaError

POLL_SECONDS = 0.05
INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it


@dataclass(frozen=True)
class Job:
    """A `marina` command, named `name`; it starts when all jobs in `after` have succeeded."""

    name: str
    arguments: tuple[str, ...]
    after: frozenset[str] = frozenset()


def run(jobs: Sequence[Job], slots: int, cores: int | None = None) -> None:
    """Run all jobs, at most `slots` at once and in the given order where nothing has to wait.

    Each gets its share of the cores: two small networks, a core each, are trained in half of the time that they take
    one after the other on both cores. After a failure nothing new starts, and what runs may end. Raises MarinaError
    naming what failed; on Ctrl-C it waits for the jobs, which receive the signal too, and raises KeyboardInterrupt.
    """
    waiting, running = list(jobs), dict[str, subprocess.Popen[bytes]]()
    done, failed = set[str](), list[str]()
    environment = _share_of_cores(min(slots, len(jobs)), cores)
    try:
        while running or (waiting and not failed):
            for job in list(waiting):
                if len(running) < slots and not failed and job.after <= done:
                    waiting.remove(job)
                    command = [sys.executable, "-m", "marina", *job.arguments]
                    running[job.name] = subprocess.Popen(command, env=environment)
            for name, process in list(running.items()):
                if (status := process.poll()) is not None:
                    del running[name]
                    (done.add if status == 0 else failed.append)(name)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        for process in running.values():
            process.wait()
        raise
    if failed:
        raise MarinaError(f"failed: {', '.join(failed)}; the reason is above. The same command resumes.")


def _share_of_cores(jobs: int, cores: int | None) -> Mapping[str, str]:
    """Return the environment of a job: OMP_NUM_THREADS unless one job has all cores or the user has set it."""
    cores = cores or os.cpu_count() or 1
    if jobs < 2 or "OMP_NUM_THREADS" in os.environ:
        return os.environ
    return {**os.environ, "OMP_NUM_THREADS": str(max(1, cores // jobs))}
