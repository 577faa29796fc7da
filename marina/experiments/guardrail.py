"""Guardrail: the test whether a candidate is worse than the control, and the requests that it is made on.

It runs every second or two for hours, so the tests are sequential: their error probabilities hold for all of these
repetitions together (statistics/sequential_tests.py). They are tests of independent observations, and those are users:
of each user (or address without a user's key) the first request in a window counts, however many there are.
"""

from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from sqlalchemy import Engine

from marina.experiments import queries
from marina.experiments.queries import NO_REQUESTS, Requests
from marina.experiments.spec import Guard
from marina.experiments.statistics.sequential_tests import Array, quantile_slower, rate_gap, rate_higher

ALPHA = 0.01  # probability of rejecting a candidate that is as good as the control, however often it is tested
TESTS = 3  # errors, median and p99 share ALPHA
# Users who must be affected: beside 10,000 users of the control, the first user of a candidate is evidence enough.
MIN_USERS = 3
MIN_LOG_RATIO = 1.0  # nats by which an excess above the tolerance must be likelier than one within it
QUANTILES = {"median": 0.5, "p99": 0.99}

# A request is logged when it ends: one that began so long ago and is not there yet is not waited for.
MAX_REQUEST_SECONDS = 60.0
# Then counting starts again: how a version behaved hours ago must not outweigh its present behaviour.
WINDOW_SECONDS = 3600.0
# Users who return every few minutes are observed once an hour in the long window, and in each of the short ones, which
# find what breaks later. The two share ALPHA, and so do the 60 short ones of an hour.
SHORT_SECONDS = 60.0
THRESHOLDS = {
    WINDOW_SECONDS: log(2 * TESTS / ALPHA),
    SHORT_SECONDS: log(2 * TESTS * WINDOW_SECONDS / SHORT_SECONDS / ALPHA),
}


@dataclass(frozen=True)
class RequestStats:
    """The users of one variant in a window of time; candidate and control must have the same window."""

    users: int
    errors: int
    seconds: Array  # latencies of the users' successful requests, in any order


def violation(
    candidate: RequestStats, control: RequestStats, guard: Guard, window: float = WINDOW_SECONDS
) -> str | None:
    """Return the reason to withdraw the candidate, one sentence with figures; None while there is none.

    `window` is the length of the window in seconds, one of THRESHOLDS.

    >>> nothing = np.empty(0)
    >>> violation(RequestStats(200, 20, nothing), RequestStats(1800, 9, nothing), Guard())
    "errors: 10.00% of 200 users, of the control's 1,800 0.50%; more than 1.00% above"
    """
    threshold = THRESHOLDS[window]
    return _errors(candidate, control, guard.errors, threshold) or _latency(
        candidate.seconds, control.seconds, guard.latency, threshold
    )


def _errors(candidate: RequestStats, control: RequestStats, tolerance: float, threshold: float) -> str | None:
    """Return a reason if the rate is certainly higher, and probably higher by more than `tolerance`.

    Certainty of the latter, too, would take several times as long: 5 % is only 0.04 nats a user from 1 %.
    """
    rates = [stats.errors / max(stats.users, 1) for stats in (candidate, control)]
    if candidate.errors < MIN_USERS or rates[0] - rates[1] <= tolerance:
        return None
    counts = (candidate.errors, candidate.users, control.errors, control.users)
    if rate_higher(*counts) < threshold or rate_gap(*counts, tolerance) < MIN_LOG_RATIO:
        return None
    return (
        f"errors: {rates[0]:.2%} of {candidate.users:,} users, of the control's {control.users:,} "
        f"{rates[1]:.2%}; more than {tolerance:.2%} above"
    )


def _latency(candidate: Array, control: Array, factor: float, threshold: float) -> str | None:
    """Return a reason if the median or p99 is certainly more than `factor` times the control's."""
    if not len(candidate) or not len(control):
        return None
    observed, usual = (np.quantile(seconds, list(QUANTILES.values())) for seconds in (candidate, control))
    for index, (name, quantile) in enumerate(QUANTILES.items()):
        slow = candidate > factor * usual[index]
        if observed[index] <= factor * usual[index] or slow.sum() < MIN_USERS:  # cheap, and nearly always decides
            continue
        if quantile_slower(candidate, control, factor, quantile) >= threshold:
            return (
                f"latency: {name} {1000 * observed[index]:.1f} ms over {len(candidate):,} users, the control's "
                f"{1000 * usual[index]:.1f} ms over {len(control):,}; more than {factor:g} times as long"
            )
    return None


class RecentRequests:
    """The requests of one experiment since `since` (seconds since the epoch), at most of about the last hour.

    Only requests that may still be incomplete in the log are read again.
    """

    def __init__(self, engine: Engine, experiment: str, since: float) -> None:
        self.since = since
        self._engine = engine
        self._experiment = experiment
        self._start = since
        self._settled: dict[str, Requests] = {}  # began before `_horizon`
        self._horizon = since

    def poll(self, now: float) -> dict[str, Requests]:
        """Return the requests until `now` by assigned variant."""
        if now - self._start > WINDOW_SECONDS:
            self._start = self._horizon = now
            self._settled = {}
        fresh = queries.requests(self._engine, self._experiment, self._horizon)
        result = {name: _concatenated(self._settled.get(name, NO_REQUESTS), new) for name, new in fresh.items()}
        result = self._settled | result
        horizon = max(self._horizon, now - MAX_REQUEST_SECONDS)
        self._settled = {name: requests.where(requests.at < horizon) for name, requests in result.items()}
        self._horizon = horizon
        return result

    def window_start(self, length: float, now: float) -> float:
        """Return the start of the present window of `length` seconds: the windows follow on one another."""
        return self._start + (now - self._start) // length * length


def request_stats(requests: Requests | None, since: float = 0.0) -> RequestStats:
    """Return the figures that the guard compares: of each user's first request since then; zeros for None."""
    requests = requests or NO_REQUESTS
    requests = requests.where(requests.at >= since)
    _, first = np.unique(requests.unit, return_index=True)  # the requests are in order of time
    requests = requests.where(first)
    seconds = requests.seconds[~np.isnan(requests.seconds)]
    return RequestStats(len(requests.at), int(requests.failed.sum()), seconds)


def _concatenated(old: Requests, new: Requests) -> Requests:
    columns: list[Any] = [np.concatenate(pair) for pair in zip(old, new, strict=True)]
    return Requests(*columns)
