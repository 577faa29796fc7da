"""The machine's upper limit: the tuned models in one process per core, without HTTP.

Decoding, network and encoding are those of the tuned stacks (benchmarks/networks.py). `python -m benchmarks.limit`.
"""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING

from benchmarks import machine
from benchmarks.networks import BATCH

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

# Batch size of each limit: that of the stacks, which is best for W1, and for W2 single rows as well.
BATCHES = {"W1": {"limit": BATCH["W1"]}, "W2": {"limit": BATCH["W2"], "limit-batch1": 1}}
NAMES = ("limit", "limit-batch1")


def work(
    workload: str, bodies: Sequence[bytes], batch: int, seconds: float, together: Barrier, counts: "SimpleQueue[float]"
) -> None:
    """Process batches in a loop for that long, and put the responses per second into `counts`."""
    from benchmarks.networks import tuned

    model, count, number = tuned(workload), 0, 0
    batches = [[bodies[(start + i) % len(bodies)] for i in range(batch)] for start in range(0, len(bodies), batch)]
    together.wait()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        model.respond(batches[number % len(batches)])
        count, number = count + batch, number + 1
    counts.put(count / (time.perf_counter() - start))


def measure(workload: str, bodies: Sequence[bytes], batch: int, seconds: float) -> float:
    """Return the responses per second of all processes together, one torch thread each."""
    context, cores = multiprocessing.get_context("spawn"), machine.cores()
    together, counts = context.Barrier(cores), context.SimpleQueue()
    arguments = (workload, bodies, batch, seconds, together, counts)
    processes = [context.Process(target=work, args=arguments, daemon=True) for _ in range(cores)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError("a process of the limit failed")
    return float(sum(counts.get() for _ in processes))


def main() -> None:
    from benchmarks import workloads

    for name, batches in BATCHES.items():
        for batch in batches.values():
            rate = measure(name, workloads.load(name).bodies, batch, seconds=5)
            print(f"{name} in-process limit, batch {batch}: {rate:,.1f} responses/s, {machine.cores()} processes")


if __name__ == "__main__":
    main()
