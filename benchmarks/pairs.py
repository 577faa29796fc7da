"""Two stacks in interleaved pairs: the ratio that proves a bound."""

from collections.abc import Callable
from contextlib import ExitStack

from benchmarks import limit, stacks, workloads
from benchmarks.campaign import P99_BOUND, console
from benchmarks.load.closed_loop import closed_loop
from benchmarks.processes import NotReadyError
from benchmarks.results.intervals import Interval, of_ratio
from benchmarks.workloads import Workload

SEARCHED = (0.8, 1.0)  # shares of the limit between which the highest rate is searched
WARM_UP_SECONDS = 45  # the JVM's compiler occupies a core meanwhile


def compare(ours: str, theirs: str, workload: str, load: tuple[int, int], pairs: int, seconds: float) -> Interval:
    """Return the ratio of rates. Both servers run all the time, one of them idle; the order alternates.

    `load` is the concurrency of each: it may differ, as in one client compared with sixteen.
    """
    case = workloads.load(workload)
    found: tuple[dict[int, float], dict[int, float]] = ({}, {})
    with ExitStack() as started:
        sides = [
            _rate(name, case, connections, seconds, started)
            for name, connections in zip((ours, theirs), load, strict=True)
        ]
        for number in range(pairs):
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                found[side][number] = sides[side]()
            a, b = found[0][number], found[1][number]
            console.print(f"  {number + 1} of {pairs}: {ours} {a:,.1f}, {theirs} {b:,.1f}, ratio {a / b:.3f}")
    ratio = of_ratio(*found)
    assert ratio is not None
    return ratio


def compare_served(name: str, workload: str, pairs: int, seconds: float) -> Interval:
    """Return the highest Poisson rate with p99 within the bound (LoadGen's Server scenario), relative to the limit,
    which is measured just before.
    """
    from benchmarks.load import open_loop  # needs mlcommons-loadgen

    case = workloads.load(workload)
    served, most = dict[int, float](), dict[int, float]()
    with stacks.of(workload)[name].serving(case) as target:
        closed_loop(target, 16, WARM_UP_SECONDS)

        def probe(rate: float) -> open_loop.OpenResult:
            return open_loop.server(target, rate, seconds, case.is_right)

        for number in range(pairs):
            most[number] = limit.measure(workload, case.bodies, limit.BATCHES[workload]["limit"], seconds / 2)
            low, high = (part * most[number] for part in SEARCHED)
            found = open_loop.highest_rate(probe, low, high, P99_BOUND, steps=3)
            served[number] = max((each.rate for each in found if each.meets(P99_BOUND)), default=0.0)
            console.print(f"  {number + 1} of {pairs}: {name} {served[number]:,.1f}, limit {most[number]:,.1f}")
    ratio = of_ratio(served, most)
    assert ratio is not None
    return ratio


def _rate(name: str, workload: Workload, connections: int, seconds: float, started: ExitStack) -> Callable[[], float]:
    """Start the server, and return a function that measures its responses per second."""
    if name in limit.NAMES:
        batch = limit.BATCHES[workload.name][name]
        return lambda: limit.measure(workload.name, workload.bodies, batch, seconds)
    check = stacks.check_of(name, workload)
    target = started.enter_context(stacks.of(workload.name)[name].serving(workload))
    closed_loop(target, connections, WARM_UP_SECONDS)

    def rate() -> float:
        result = closed_loop(target, connections, seconds, 1.0, check)
        if result.errors or result.wrong:
            raise NotReadyError(f"{name}: {result.errors} errors, {result.wrong} wrong responses in the sample")
        if not result.responses:
            raise NotReadyError(f"{name}: no response within {seconds} s; measure for longer")
        return result.rate

    return rate
