"""Report of a campaign: JSON, a Markdown table for each workload, and plots."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import limit
from benchmarks.campaign import P99_BOUND, Plan
from benchmarks.results.intervals import Interval, of_median, of_ratio
from benchmarks.results.records import Records

STOCK, OURS = "torchserve", ("marina", "marina-envoy")
NOT_PEERS = {*OURS, *limit.NAMES, STOCK}


def write(plan: Plan, records: Records, machine: dict[str, Any], folder: Path) -> str:
    """Write report.md, report.json and PNG plots into `folder`; return the Markdown."""
    from benchmarks.results import latency_plots  # imports matplotlib

    sections = [_machine(machine), *(_workload(plan, records, name) for name in plan.workloads), _open(records)]
    text = "\n".join(["# Side by side", "", *sections])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(text)
    rows = [{**vars(step), **values} for step, values in records.found.items()]
    (folder / "report.json").write_text(json.dumps({"machine": machine, "measurements": rows}, indent=1))
    latency_plots.draw(records, plan.workloads, folder)
    return text


def _machine(facts: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    flags = ", ".join(facts["flags"])
    head = f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gb']} GB, {facts['system']}"
    return f"{head}\n\nFlags: {flags}. Versions: {versions}.\n"


def _workload(plan: Plan, records: Records, workload: str) -> str:
    """Return rates, latencies and ratios of every stack, the fastest at the middle concurrency first."""
    loads = list(plan.concurrencies)
    middle = 16 if 16 in loads else loads[-1]
    closed = records.by_round(workload, "closed", middle)
    noop = closed.pop("noop", {})
    limits = records.by_round(workload, "limit", 0)
    peers = {name: of_median(list(rounds.values())).median for name, rounds in closed.items() if name not in NOT_PEERS}
    best = max(peers, key=peers.__getitem__, default="")
    against = {"stock": closed.get(STOCK, {}), "limit": limits.get("limit", {}), "best peer": closed.get(best, {})}
    heads = [*(f"c{load}, responses/s" for load in loads), f"p50 at c{middle}, ms", f"p99 at c{middle}, ms"]
    heads += [f"c{middle} / {name}{f' ({best})' if name == 'best peer' and best else ''}" for name in against]
    rows = []
    for name in sorted(closed, key=lambda name: -of_median(list(closed[name].values())).median):
        cells = [_cell(records.by_round(workload, "closed", load).get(name, {}).values()) for load in loads]
        for quantile in ("p50", "p99"):
            seconds = records.by_round(workload, "closed", middle, quantile).get(name, {}).values()
            cells.append(_cell(1000 * value for value in seconds))
        cells += [_ratio(of_ratio(closed[name], other)) for other in against.values()]
        rows.append([name, *cells])
    lines = [f"## {workload}", "", *_table(["stack", *heads], rows), ""]
    for name, rounds in limits.items():
        lines.append(f"In-process {name}, batch {limit.BATCHES[workload][name]}: {_cell(rounds.values())} responses/s.")
    failures = {name: records.why_failed(workload, name) for name in plan.stacks}
    if noop:
        lines.append(_headroom(noop, closed, middle))
    lines += [f"Not measured: {name}: `{' '.join(why.split())[:300]}`" for name, why in failures.items() if why]
    lines += _wrong(records, workload)
    return "\n\n".join(["\n".join(lines[: len(rows) + 5]), *lines[len(rows) + 5 :]]) + "\n"


def _headroom(noop: dict[int, float], closed: dict[str, dict[int, float]], load: int) -> str:
    """Return the client's head room: its rate against a server that does nothing."""
    what = f"Client against a server that does nothing, c{load}: {_cell(noop.values())} responses/s"
    fastest = max((of_median(list(rounds.values())).median for rounds in closed.values()), default=None)
    times = (
        "" if fastest is None else f", {of_median(list(noop.values())).median / fastest:,.1f} times the fastest stack"
    )
    return f"{what}{times}."


def _wrong(records: Records, workload: str) -> list[str]:
    """Return a line for each measurement with wrong responses or errors: its rate is not valid."""
    return [
        f"**{step.stack} c{step.load}, round {step.round + 1}: {values['errors']} errors, {values['wrong']} wrong.**"
        for step, values in records.found.items()
        if step.workload == workload and (values.get("errors") or values.get("wrong"))
    ]


def _open(records: Records) -> str:
    """Return the section on MLPerf LoadGen with W1."""
    limits = records.by_round("W1", "limit", 0).get("limit", {})
    bests, offline = records.by_round("W1", "server", 0, "best"), records.by_round("W1", "offline", 0)
    if not bests:
        return ""
    head = ["stack", f"highest rate with p99 <= {1000 * P99_BOUND:.0f} ms", "of the limit", "Offline, responses/s"]
    middle = of_median(list(limits.values())).median if limits else float("nan")
    rows = [
        [name, f"{rounds[0]:,.1f}", f"{rounds[0] / middle:.2f}", _cell(offline.get(name, {}).values())]
        for name, rounds in sorted(bests.items(), key=lambda pair: -pair[1][0])
    ]
    return "\n".join(["## W1, open loop (MLPerf LoadGen)", "", *_table(head, rows), ""])


def _cell(values: Iterable[float]) -> str:
    values = list(values)
    return of_median(values).text() if values else ""


def _ratio(found: Interval | None) -> str:
    return found.text(".2f") if found else ""


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]
