"""The guard's judgement: whether a candidate is worse than the control, asked every second or two for hours."""

from dataclasses import dataclass
from math import log

import numpy as np

from routing.evidence import Array, apart, higher, slower
from routing.experiments import Guard

ALPHA = 0.01  # chance of suspecting a candidate that is as good as the control, however often one window is looked at
EACH = log(3 / ALPHA)  # errors, median and p99 share it
LIKELY = 1.0  # nats by which an excess above the tolerance must be likelier than one within it
QUANTILES = {"median": 0.5, "p99": 0.99}


@dataclass(frozen=True)
class Window:
    """What one variant has done since the comparison began: both windows must cover the same time."""

    requests: int
    errors: int
    seconds: Array  # latencies of the answered requests, in any order


def suspicion(candidate: Window, control: Window, guard: Guard) -> str | None:
    """Why the candidate must go, in one sentence with figures; None while there is no reason."""
    return _errors(candidate, control, guard.errors) or _latency(candidate.seconds, control.seconds, guard.latency)


def _errors(candidate: Window, control: Window, tolerance: float) -> str | None:
    """Sure that the rate is higher, and likely that it is so by more than `tolerance`.

    To be sure of the latter too would take several times as long: 5 % is only 0.04 nats a request from 1 %.
    """
    rates = [window.errors / max(window.requests, 1) for window in (candidate, control)]
    if rates[0] - rates[1] <= tolerance:
        return None
    counts = (candidate.errors, candidate.requests, control.errors, control.requests)
    if higher(*counts) < EACH or apart(*counts, tolerance) < LIKELY:
        return None
    return (
        f"errors: {rates[0]:.2%} of {candidate.requests:,} requests, of the control's {control.requests:,} "
        f"{rates[1]:.2%}; more than {tolerance:.2%} above"
    )


def _latency(candidate: Array, control: Array, factor: float) -> str | None:
    """Sure that the median or p99 is more than `factor` times the control's."""
    if not len(candidate) or not len(control):
        return None
    observed, usual = (np.quantile(seconds, list(QUANTILES.values())) for seconds in (candidate, control))
    for index, (name, quantile) in enumerate(QUANTILES.items()):
        if observed[index] <= factor * usual[index]:  # cheap, and nearly always so
            continue
        if slower(candidate, control, factor, quantile) >= EACH:
            return (
                f"latency: {name} {1000 * observed[index]:.1f} ms over {len(candidate):,} requests, the control's "
                f"{1000 * usual[index]:.1f} ms over {len(control):,}; more than {factor:g} times as long"
            )
    return None
