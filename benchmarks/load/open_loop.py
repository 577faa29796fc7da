"""An open loop by MLPerf LoadGen: Poisson arrivals (Server), or all requests at once (Offline).

A latency begins at the scheduled time of a request, so that a stalled server is detected: in a closed loop its clients
would stall with it, and report one slow response each (coordinated omission).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlperf_loadgen as loadgen

from benchmarks.load.pool import Pool
from benchmarks.load.wire import Target

CONNECTIONS, SEED = 64, 20_240_601
KEPT_BODIES = 256
PERCENTILE = re.compile(r"^\s*(\d+\.\d+) percentile latency \(ns\)\s*: (\d+)", re.MULTILINE)
RATES = re.compile(r"^\s*(?:Completed samples|Samples) per second\s*: ([\d.]+)", re.MULTILINE)


@dataclass(frozen=True)
class OpenResult:
    """Requested `rate` and `completed` responses per second; latencies in seconds by percentile."""

    rate: float
    completed: float
    latencies: dict[str, float]
    errors: int
    wrong: int

    @property
    def p99(self) -> float:
        return self.latencies["99.00"]

    def meets(self, bound: float) -> bool:
        """Return whether every response is right, and p99 within the bound in seconds."""
        return not self.errors and not self.wrong and self.p99 <= bound


class Run:
    """One LoadGen test against a target."""

    def __init__(self, target: Target, is_right: Callable[[int, Any], bool]) -> None:
        self.target, self.is_right = target, is_right
        self.errors, self.bodies = 0, list[tuple[int, bytes]]()

    def start(self, settings: Any, rate: float) -> OpenResult:
        """Run the test; blocks until all responses have arrived."""
        pool, count = Pool(self.target, CONNECTIONS, self._done), len(self.target.requests)

        def issue(samples: list[Any]) -> None:
            for sample in samples:
                pool.submit(sample.id, sample.index)

        sut = loadgen.ConstructSUT(issue, lambda: None)
        qsl = loadgen.ConstructQSL(count, count, lambda _: None, lambda _: None)
        try:
            with TemporaryDirectory(prefix="loadgen-") as folder:
                loadgen.StartTestWithLogSettings(sut, qsl, settings, _logs(folder))
                summary = Path(folder, "mlperf_log_summary.txt").read_text()
        finally:
            loadgen.DestroyQSL(qsl)
            loadgen.DestroySUT(sut)
            pool.close()
        wrong = sum(not self.is_right(number, self.target.read(body)) for number, body in self.bodies)
        latencies = {name: int(nanoseconds) / 1e9 for name, nanoseconds in PERCENTILE.findall(summary)}
        completed = float(RATES.findall(summary)[0])
        return OpenResult(rate, completed, latencies, self.errors, wrong)

    def _done(self, ticket: int, number: int, body: bytes | None) -> None:
        if body is None:
            self.errors += 1
        elif len(self.bodies) < KEPT_BODIES:
            self.bodies.append((number, body))
        loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(ticket, 0, 0)])


def _logs(folder: str) -> Any:
    settings = loadgen.LogSettings()
    settings.log_output.outdir = folder
    settings.log_output.copy_summary_to_stdout = False
    settings.enable_trace = False
    return settings


def _settings(scenario: Any, seconds: float) -> Any:
    settings = loadgen.TestSettings()
    settings.scenario, settings.mode = scenario, loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms, settings.min_query_count = int(1000 * seconds), 1
    settings.qsl_rng_seed = settings.sample_index_rng_seed = settings.schedule_rng_seed = SEED
    return settings


def server(target: Target, rate: float, seconds: float, is_right: Callable[[int, Any], bool]) -> OpenResult:
    """Run Poisson arrivals at `rate` per second."""
    settings = _settings(loadgen.TestScenario.Server, seconds)
    settings.server_target_qps = rate
    settings.server_target_latency_percentile = 0.99
    settings.server_target_latency_ns = 250_000_000  # for LoadGen's own verdict, which is not used
    return Run(target, is_right).start(settings, rate)


def offline(target: Target, expected: float, seconds: float, is_right: Callable[[int, Any], bool]) -> OpenResult:
    """Run `expected` * `seconds` requests, all available from the start."""
    settings = _settings(loadgen.TestScenario.Offline, seconds)
    settings.offline_expected_qps = expected
    return Run(target, is_right).start(settings, expected)


def highest_rate(
    measure: Callable[[float], OpenResult], low: float, high: float, bound: float, steps: int
) -> list[OpenResult]:
    """Bisect between two rates and return every probe, in order; the best that meets the bound is the result."""
    probes = [measure(low)]
    if not probes[0].meets(bound):
        low, high = 0.0, low
    for _ in range(steps):
        middle = (low + high) / 2
        probes.append(measure(middle))
        low, high = (middle, high) if probes[-1].meets(bound) else (low, middle)
    return probes
