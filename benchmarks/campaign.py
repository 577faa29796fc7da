"""Rounds of measurements: one stack at a time, A B C A B C, so that a slow phase of the machine affects all alike."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from benchmarks import limit, stacks, workloads
from benchmarks.load.closed_loop import Result, closed_loop
from benchmarks.load.wire import Target
from benchmarks.processes import NotReadyError
from benchmarks.results.records import FAILED, Records, Step
from benchmarks.workloads import Workload

CONCURRENCIES = (1, 16, 32)
P99_BOUND = 0.25  # seconds; bound in the search for the highest rate
console = Console()


@dataclass(frozen=True)
class Plan:
    """Steps to measure. `open_loop` names the stacks whose highest rate is searched, in the first round, on W1."""

    stacks: Sequence[str]
    workloads: Sequence[str] = ("W1", "W2")
    rounds: int = 5
    concurrencies: Sequence[int] = CONCURRENCIES
    seconds: float = 5.0
    warm_up: float = 2.0
    open_loop: Sequence[str] = ()
    search_steps: int = 5

    def visits(self) -> Iterator[list[Step]]:
        """Yield the steps that share one start of one stack."""
        for number in range(self.rounds):
            for workload in self.workloads:
                for stack in self.stacks:
                    steps = list(self._steps(Step(number, workload, stack)))
                    if steps:
                        yield steps

    def _steps(self, first: Step) -> Iterator[Step]:
        if first.stack in limit.NAMES:
            if first.stack in limit.BATCHES[first.workload]:
                yield replace(first, kind="limit")
        elif first.stack in stacks.of(first.workload):
            yield from (replace(first, load=concurrency) for concurrency in self.concurrencies)
            if first.round == 0 and first.workload == "W1" and first.stack in self.open_loop:
                yield from (replace(first, kind=kind) for kind in ("offline", "server"))


def run(plan: Plan, records: Records) -> None:
    """Measure the steps that `records` lacks. A stack that fails is not retried, and the reason is recorded."""
    visits = [left for steps in plan.visits() if (left := [step for step in steps if step not in records])]
    start = time.monotonic()
    for done, steps in enumerate(visits):
        first = steps[0]
        if records.why_failed(first.workload, first.stack):
            continue
        minutes = (time.monotonic() - start) / done * (len(visits) - done) / 60 if done else float("nan")
        place = f"{done + 1} of {len(visits)}, about {minutes:.0f} min left"
        console.print(f"[dim]{place}[/] round {first.round + 1} {first.workload} {first.stack}", highlight=False)
        try:
            for step, values in measure(steps, plan, workloads.load(first.workload)):
                records.add(step, **values)
                shown = ", ".join(f"{name} {value:,.4g}" for name, value in values.items() if name in SHOWN)
                console.print(f"    {step.kind} {step.load or ''}: {shown}", highlight=False)
        except (NotReadyError, RuntimeError, OSError) as exc:
            records.add(replace(first, kind=FAILED), **{FAILED: str(exc)})
            console.print(f"    not measured: {exc}", style="red", markup=False, highlight=False)


SHOWN = ("rate", "p50", "p99", "errors", "wrong", "best")


def measure(steps: Iterable[Step], plan: Plan, workload: Workload) -> Iterator[tuple[Step, dict[str, Any]]]:
    """Yield each step with its measured values, as soon as it is measured."""
    steps = list(steps)
    if steps[0].kind == "limit":
        batch = limit.BATCHES[workload.name][steps[0].stack]
        yield steps[0], {"rate": limit.measure(workload.name, workload.bodies, batch, plan.seconds)}
        return
    check = stacks.check_of(steps[0].stack, workload)
    with stacks.of(workload.name)[steps[0].stack].serving(workload) as target:
        for step in steps:
            if step.kind == "closed":
                yield step, facts(closed_loop(target, step.load, plan.seconds, plan.warm_up, check))
            else:
                yield step, OPEN[step.kind](target, workload, plan)


def facts(result: Result) -> dict[str, Any]:
    """Return the recorded values of a closed loop; latencies in seconds."""
    quantiles = {f"p{100 * q:g}": result.quantile(q) for q in (0.5, 0.95, 0.99)}
    counts = {"responses": result.responses, "errors": result.errors, "wrong": result.wrong}
    return {"rate": result.rate, **quantiles, **counts, "checked": len(result.bodies)}


def offline(target: Target, workload: Workload, plan: Plan) -> dict[str, Any]:
    """Measure LoadGen's Offline scenario."""
    from benchmarks.load import open_loop  # needs mlcommons-loadgen

    expected = closed_loop(target, 16, plan.seconds / 2, plan.warm_up).rate
    found = open_loop.offline(target, expected, 2 * plan.seconds, workload.is_right)
    return {"rate": found.completed, "errors": found.errors, "wrong": found.wrong}


def server(target: Target, workload: Workload, plan: Plan) -> dict[str, Any]:
    """Search the highest rate of LoadGen's Server scenario with p99 within the bound; return it and every probe."""
    from benchmarks.load import open_loop

    closed = closed_loop(target, 16, plan.seconds, plan.warm_up).rate
    probe: Callable[[float], Any] = lambda rate: open_loop.server(target, rate, 4 * plan.seconds, workload.is_right)  # noqa: E731
    probes = open_loop.highest_rate(probe, 0.5 * closed, 1.1 * closed, P99_BOUND, plan.search_steps)
    best = max((each.rate for each in probes if each.meets(P99_BOUND)), default=0.0)
    rows = [{"rate": each.rate, "p99": each.p99, "errors": each.errors, "wrong": each.wrong} for each in probes]
    return {"best": best, "probes": rows}


OPEN: dict[str, Callable[[Target, Workload, Plan], dict[str, Any]]] = {"offline": offline, "server": server}
