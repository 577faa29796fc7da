"""All stacks by name: `python -m benchmarks.stacks NAME W1` starts one and measures it once."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from benchmarks import torchserve, workloads
from benchmarks.load.closed_loop import closed_loop
from benchmarks.load.dialects import Dialect, batch_of_one, plain, v2, v2_binary
from benchmarks.load.wire import Target
from benchmarks.marina import Marina
from benchmarks.networks import BATCH, ROOT
from benchmarks.processes import NotReadyError, await_ready, free_ports, running
from benchmarks.workloads import IMAGES, ROWS, Workload

PEERS = Path(__file__).parent / "peers"


class Stack(Protocol):
    """A server for a workload; `serving` yields once its responses are right."""

    def serving(self, workload: Workload) -> AbstractContextManager[Target]: ...


@dataclass(frozen=True)
class NoOp:
    """A server that does nothing: it shows the head room of the client."""

    @contextmanager
    def serving(self, workload: Workload) -> Iterator[Target]:
        with TemporaryDirectory(prefix="bench-") as name:
            (port,) = free_ports(1)
            command: list[str | Path] = [sys.executable, "-m", "benchmarks.load.noop_server", str(port)]
            with running(command, Path(name), {"PYTHONPATH": str(ROOT)}) as process:
                target = plain("/").target(workload, port)
                await_ready(process, Path(name), target, Workload("W2", "", workload.bodies, [1.0] * IMAGES * ROWS))
                yield target


@dataclass(frozen=True)
class Peer:
    """peers/<name>/server.py, started as `server.py W1 PORT` by the Python of its own virtual environment."""

    name: str
    dialect: Dialect

    @contextmanager
    def serving(self, workload: Workload) -> Iterator[Target]:
        python, (port,) = PEERS / self.name / ".venv" / "bin" / "python", free_ports(1)
        if not python.exists():
            raise NotReadyError(f"not installed: python -m benchmarks.peers {self.name}")
        with TemporaryDirectory(prefix="bench-") as name:
            command: list[str | Path] = [python, PEERS / self.name / "server.py", workload.name, str(port)]
            with running(command, Path(name), {"PYTHONPATH": str(ROOT)}) as process:
                target = self.dialect.target(workload, port)
                await_ready(process, Path(name), target, workload)
                yield target


def of(workload: str) -> Mapping[str, Stack]:
    """Return the stacks of W1 or W2 by name, batched where it helps; W2 is measured both ways."""
    tuned: dict[str, Stack] = (
        {"torchserve-tuned": torchserve.tuned(BATCH["W1"])}
        if workload == "W1"
        else {
            "torchserve-tuned": torchserve.tuned(1),
            "torchserve-tuned-batch8": torchserve.tuned(BATCH["W2"]),
        }
    )
    return {
        "marina": Marina(through_envoy=False),
        "marina-envoy": Marina(through_envoy=True),
        "torchserve": torchserve.TorchServe(),
        **tuned,
        "fastapi": Peer("fastapi", plain("/predict")),
        "litserve": Peer("litserve", plain("/predict")),
        "triton": Peer("triton", v2_binary("/v2/models/bench/infer")),
        "mlserver": Peer("mlserver", v2("/v2/models/bench/infer")),
        "bentoml": Peer("bentoml", batch_of_one("/predict")),
        "ray": Peer("ray", plain("/predict")),
        "noop": NoOp(),
    }


def check_of(name: str, workload: Workload) -> Callable[[int, Any], bool] | None:
    """Return the check of that stack's responses; those of the no-op server are not checked."""
    return None if name == "noop" else workload.is_right


def main(name: str, which: str, seconds: float = 5) -> None:
    workload = workloads.load(which)
    with of(which)[name].serving(workload) as target:
        for concurrency in (1, 16, 32):
            found = closed_loop(target, concurrency, seconds, 2, check_of(name, workload))
            p50, p99 = (1e3 * found.quantile(q) for q in (0.5, 0.99))
            problems = f"{found.errors} errors, {found.wrong} of {len(found.bodies)} checked wrong"
            print(
                f"{name} {which} c{concurrency}: {found.rate:,.1f}/s p50 {p50:.1f} p99 {p99:.1f} ms, {problems}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
