"""The most that the machine could answer: the tuned models in as many processes as there are cores, without HTTP.

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

# The batch of each limit: the one that the stacks have, at which W1 answers the most, and for W2 a lone row as well.
BATCHES = {"W1": {"limit": BATCH["W1"]}, "W2": {"limit": BATCH["W2"], "limit-batch1": 1}}
NAMES = ("limit", "limit-batch1")


def work(
    workload: str, bodies: Sequence[bytes], batch: int, seconds: float, together: Barrier, counts: "SimpleQueue[float]"
) -> None:
    """Answer batches in a loop for that long, and tell the answers a second."""
    from benchmarks.networks import tuned

    model, answered, number = tuned(workload), 0, 0
    batches = [[bodies[(start + i) % len(bodies)] for i in range(batch)] for start in range(0, len(bodies), batch)]
    together.wait()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        model.answer(batches[number % len(batches)])
        answered, number = answered + batch, number + 1
    counts.put(answered / (time.perf_counter() - start))


def measure(workload: str, bodies: Sequence[bytes], batch: int, seconds: float) -> float:
    """Answers a second of all processes together, one torch thread each."""
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
            print(f"{name} in-process limit, batch {batch}: {rate:,.1f} answers/s, {machine.cores()} processes")


if __name__ == "__main__":
    main()
