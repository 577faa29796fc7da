"""`python -m benchmarks`: comparison of Marina with other serving stacks (peers). An interrupted run is resumed."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from benchmarks import campaign, limit, machine, pairs, stacks
from benchmarks.campaign import Plan, console
from benchmarks.processes import NotReadyError
from benchmarks.results import comparison_report
from benchmarks.results.records import Records

REPORTS = Path("var/reports/bench")
QUICK = os.environ.get("QUICK", "") not in {"", "0"}
QUICK_STACKS = ("noop", "torchserve", "limit", "marina")


def main(
    only: Annotated[str, typer.Option("--stacks", help="comma-separated names; default: all")] = "",
    workload: Annotated[str, typer.Option(help="W1 or W2; default: both")] = "",
    repeats: Annotated[int, typer.Option(help="number of rounds; 0: five, or one if QUICK=1")] = 0,
    seconds: Annotated[
        float, typer.Option(help="duration of a measurement; 0: 5, or 3 if QUICK=1; 4 with --pairs, 8 with --served")
    ] = 0,
    pair: Annotated[
        str, typer.Option("--pairs", help="A,B: measure only the ratio of A to B, in interleaved pairs")
    ] = "",
    number: Annotated[int, typer.Option("-n", help="number of pairs, with --pairs or --served")] = 15,
    connections: Annotated[str, typer.Option("-c", help="with --pairs: connections; 1,16: 1 for A, 16 for B")] = "16",
    served: Annotated[
        str,
        typer.Option(help="STACK: measure only its highest Poisson rate with p99 in bounds, as a share of the limit"),
    ] = "",
    bound: Annotated[
        float, typer.Option(help="with --pairs: fail if the ratio's confidence interval begins below this")
    ] = 0,
) -> None:
    """Measure stacks one at a time, in rounds; write report.md, report.json and plots to var/reports/bench.

    "limit" is the throughput of the same models without HTTP, one process per core; "noop" a server that does no work.
    """
    facts = machine.facts()
    console.print(facts)
    if served:
        ratio = pairs.compare_served(served, workload or "W1", number, seconds or 8)
        console.print(f"{served}, p99 <= {campaign.P99_BOUND:g} s / limit: {ratio.text('.3f')}, {ratio.count} pairs")
        return
    if pair:
        loads = [int(word) for word in connections.split(",")]
        _compare(pair.split(","), workload or "W1", (loads[0], loads[-1]), number, seconds or 4, bound)
        return
    names = only.split(",") if only else list(QUICK_STACKS if QUICK else _all_stacks())
    unknown = set(names) - set(_all_stacks())
    if unknown:
        sys.exit(f"no stack {', '.join(sorted(unknown))}; there are: {', '.join(_all_stacks())}")
    plan = Plan(
        stacks=names,
        workloads=(workload,) if workload else ("W1", "W2"),
        rounds=repeats or (1 if QUICK else 5),
        concurrencies=(1, 16) if QUICK else campaign.CONCURRENCIES,
        seconds=seconds or (3 if QUICK else 5),
        open_loop=[] if QUICK else [name for name in names if name not in {*limit.NAMES, "noop"}],
    )
    records = Records.open(REPORTS / "measurements.jsonl", {"seconds": plan.seconds, "machine": facts})
    start = time.monotonic()
    campaign.run(plan, records)
    console.print(Markdown(comparison_report.write(plan, records, facts, REPORTS)))
    records.close()
    console.print(f"{REPORTS}/report.md, {time.monotonic() - start:.0f} s", highlight=False)


def _all_stacks() -> list[str]:
    """Return the names of all stacks of both workloads, including the limit and the no-op server."""
    return list(dict.fromkeys([*limit.NAMES, *stacks.of("W1"), *stacks.of("W2")]))


def _compare(names: list[str], workload: str, load: tuple[int, int], number: int, seconds: float, bound: float) -> None:
    """Print the ratio of two stacks; exit with an error if its confidence interval begins below `bound`.

    `load` is the number of connections to each.
    """
    ours, theirs = names
    try:
        ratio = pairs.compare(ours, theirs, workload, load, number, seconds)
    except NotReadyError as exc:
        sys.exit(str(exc))
    console.print(f"{workload} {ours} c{load[0]} / {theirs} c{load[1]}: {ratio.text('.3f')}, {ratio.count} pairs")
    if bound and ratio.low < bound:
        sys.exit(f"the confidence interval of the ratio begins at {ratio.low:.3f}, below the bound {bound:g}")


if __name__ == "__main__":
    typer.run(main)
