"""What has happened in an experiment since its weights were last moved, read once and kept."""

from collections.abc import Mapping

import numpy as np
from sqlalchemy import Engine

from routing import observed
from routing.observed import Requests
from routing.suspicion import Window

# A request is written down when it ends: one that began so long ago and is not there yet is not waited for.
LONGEST_SECONDS = 60.0
# Then it begins anew: what a version was like hours ago must not outweigh what it is now.
WINDOW_SECONDS = 3600.0

NOTHING = Requests(np.empty(0), np.empty(0, dtype=bool), np.empty(0))


class Lookout:
    """The requests of one experiment since `since` (seconds since the epoch), or in the last hour begun."""

    def __init__(self, engine: Engine, experiment: str, since: float) -> None:
        self.since = since
        self._engine = engine
        self._experiment = experiment
        self._start = since
        self._settled: dict[str, Requests] = {}  # what began before `_horizon`
        self._horizon = since

    def look(self, now: float) -> dict[str, Requests]:
        """By the variant that was assigned."""
        if now - self._start > WINDOW_SECONDS:
            self._start = self._horizon = now
            self._settled = {}
        fresh = observed.requests(self._engine, self._experiment, self._horizon)
        whole = _joined(self._settled, fresh)
        horizon = max(self._horizon, now - LONGEST_SECONDS)
        self._settled = {name: _before(requests, horizon) for name, requests in whole.items()}
        self._horizon = horizon
        return whole


def window(requests: Requests | None) -> Window:
    """As the guard judges it."""
    requests = requests or NOTHING
    seconds = requests.seconds[~np.isnan(requests.seconds)]
    return Window(len(requests.at), int(requests.failed.sum()), seconds)


def _joined(settled: Mapping[str, Requests], fresh: Mapping[str, Requests]) -> dict[str, Requests]:
    joined = dict(settled)
    for name, new in fresh.items():
        old = joined.get(name, NOTHING)
        at, failed, seconds = (np.concatenate(pair) for pair in zip(old, new, strict=True))
        joined[name] = Requests(at, failed.astype(bool), seconds)
    return joined


def _before(requests: Requests, horizon: float) -> Requests:
    old = requests.at < horizon
    return Requests(requests.at[old], requests.failed[old], requests.seconds[old])
