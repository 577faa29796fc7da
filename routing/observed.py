"""What the guard and the report need to know of an experiment's requests since a time, in seconds since the epoch."""

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, and_, distinct, func, select

from routing.database import reading
from routing.tables import Exposure, Feedback, Mirrored


class Requests(NamedTuple):
    """The requests assigned to one variant, in the order of time, an entry each.

    `failed`: another variant had to answer, or the answer was a server's error. `seconds`: the latency of a good answer
    (2xx) by the variant itself, otherwise NaN.
    """

    at: NDArray[np.float64]
    failed: NDArray[np.bool_]
    seconds: NDArray[np.float64]


class Rewarded(NamedTuple):
    """A unit that a variant answered: when first, and the mean reward of its feedback."""

    unit: str
    variant: str
    at: float
    reward: float


class Share(NamedTuple):
    """What the split assigned to a variant. The units are what is independent of each other."""

    requests: int
    units: int


class Pair(NamedTuple):
    """A live answer, and the one of the variant that got a copy of the request."""

    request_id: str
    at: float
    variant: str
    mirror: str
    status: int
    mirror_status: int
    seconds: float | None
    mirror_seconds: float | None
    prediction: dict[str, Any] | None
    mirror_prediction: dict[str, Any] | None


def requests(engine: Engine, experiment: str, since: float) -> dict[str, Requests]:
    """By the variant that was assigned."""
    query = (
        select(Exposure.assigned, Exposure.source, Exposure.status, Exposure.seconds, Exposure.at)
        .where(Exposure.experiment == experiment, Exposure.at >= since)
        .order_by(Exposure.at)
    )
    found: dict[str, list[tuple[float, bool, float]]] = defaultdict(list)
    with reading(engine) as session:
        for assigned, source, status, seconds, at in session.execute(query):
            good = source == "split" and 200 <= status < 300
            latency = seconds if good and seconds is not None else np.nan
            found[assigned].append((at, source == "fallback" or status >= 500, latency))
    columns = {name: np.array(rows, float).T for name, rows in found.items()}
    return {name: Requests(at, failed.astype(bool), seconds) for name, (at, failed, seconds) in columns.items()}


def rewards(engine: Engine, experiment: str, since: float) -> list[Rewarded]:
    """In the order of the units' first exposures. Fallbacks are left out: the unit did not see its variant."""
    first = func.min(Exposure.at)
    query = (
        select(Exposure.unit, Exposure.variant, first, func.avg(Feedback.reward))
        .outerjoin(Feedback, and_(Feedback.request_id == Exposure.request_id, Feedback.status == "accepted"))
        .where(Exposure.experiment == experiment, Exposure.at >= since, Exposure.source == "split")
        .group_by(Exposure.unit, Exposure.variant)
        .having(func.count(Feedback.reward) > 0)
        .order_by(first, Exposure.unit)
    )
    with reading(engine) as session:
        return [Rewarded(*row) for row in session.execute(query)]


def shares(engine: Engine, experiment: str, since: float) -> dict[str, Share]:
    """By the variant that was assigned."""
    query = (
        select(Exposure.assigned, func.count(), func.count(distinct(Exposure.unit)))
        .where(Exposure.experiment == experiment, Exposure.at >= since)
        .group_by(Exposure.assigned)
        .order_by(Exposure.assigned)
    )
    with reading(engine) as session:
        return {assigned: Share(count, units) for assigned, count, units in session.execute(query)}


def mirror_pairs(engine: Engine, experiment: str, since: float) -> list[Pair]:
    """In the order of time of the live requests."""
    query = (
        select(
            *(Exposure.request_id, Exposure.at, Exposure.variant, Mirrored.variant, Exposure.status, Mirrored.status),
            *(Exposure.seconds, Mirrored.seconds, Exposure.prediction, Mirrored.prediction),
        )
        .join(Mirrored, Mirrored.request_id == Exposure.request_id)
        .where(Exposure.experiment == experiment, Exposure.at >= since)
        .order_by(Exposure.at)
    )
    with reading(engine) as session:
        return [Pair(*row) for row in session.execute(query)]
