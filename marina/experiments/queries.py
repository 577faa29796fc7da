"""Queries for the guard and the report: the requests of an experiment since a time, in seconds since the epoch."""

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, distinct, func, select

from marina.experiments.database import Exposure, Feedback, MirroredRequest, read_session

SETTLING_SECONDS = 15.0  # Envoy may still use the split before; a variant now at 0 must not look impossible


class Requests(NamedTuple):
    """The N requests assigned to one variant, in order of time: arrays (N,).

    `unit`: a number for each user, or for each client address without a user's key.
    `failed`: another variant had to respond, or the response was a server error. `seconds`: the latency of a successful
    response (2xx) of the variant itself, otherwise NaN.
    """

    at: NDArray[np.float64]
    failed: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    unit: NDArray[np.int64]

    def where(self, chosen: NDArray[Any]) -> "Requests":
        """Return the requests at these indices, or where this mask (N,) is True."""
        return Requests(*(column[chosen] for column in self))


NO_REQUESTS = Requests(np.empty(0), np.empty(0, dtype=bool), np.empty(0), np.empty(0, dtype=np.int64))


class UnitReward(NamedTuple):
    """The first reward that a unit gave to a variant, and when it did."""

    unit: str
    variant: str
    at: float
    reward: float


class VariantShare(NamedTuple):
    """Requests and units that the split assigned to a variant. Units are independent, requests aren't."""

    requests: int
    units: int


class MirrorPair(NamedTuple):
    """A live response, and the response of the variant that got a copy of the request."""

    id: str
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
    """Return the requests by assigned variant.

    >>> requests(engine, "digits", since)["resnet18@2.0"].failed.mean()  # doctest: +SKIP
    """
    query = (
        select(Exposure.assigned, Exposure.source, Exposure.status, Exposure.seconds, Exposure.at, Exposure.unit)
        .where(Exposure.experiment == experiment, Exposure.at >= since)
        .order_by(Exposure.at)
    )
    rows_by_variant: dict[str, list[tuple[float, bool, float, int]]] = defaultdict(list)
    with read_session(engine) as session:
        for assigned, source, status, seconds, at, unit in session.execute(query):
            good = source == "split" and 200 <= status < 300
            latency = seconds if good and seconds is not None else np.nan
            rows_by_variant[assigned].append((at, source == "fallback" or status >= 500, latency, hash(unit)))
    columns = {name: list(zip(*rows, strict=True)) for name, rows in rows_by_variant.items()}
    return {name: Requests(*map(np.array, each)) for name, each in columns.items()}


def rewards(engine: Engine, experiment: str, since: float) -> list[UnitReward]:
    """Return the first reward of each unit, in order of time; not of fallbacks, where the variant didn't respond.

    Later ones don't count: users are independent, and a reward that changed would break the confidence sequences.
    """
    order = (Feedback.received, Feedback.id)
    number = func.row_number().over(partition_by=(Exposure.unit, Exposure.variant), order_by=order)
    given = (
        select(Exposure.unit, Exposure.variant, Feedback.received, Feedback.id, Feedback.reward, number.label("number"))
        .join(Feedback, Feedback.id == Exposure.id)
        .where(Exposure.experiment == experiment, Exposure.at >= since, Exposure.source == "split")
        .where(Feedback.status == "accepted", Feedback.reward.is_not(None))
        .subquery()
    )
    query = (
        select(given.c.unit, given.c.variant, given.c.received, given.c.reward)
        .where(given.c.number == 1)
        .order_by(given.c.received, given.c.id)
    )
    with read_session(engine) as session:
        return [UnitReward(*row) for row in session.execute(query)]


def shares(engine: Engine, experiment: str, since: float) -> dict[str, VariantShare]:
    """Return counts by assigned variant."""
    query = (
        select(Exposure.assigned, func.count(), func.count(distinct(Exposure.unit)))
        .where(Exposure.experiment == experiment, Exposure.at >= since)
        .group_by(Exposure.assigned)
        .order_by(Exposure.assigned)
    )
    with read_session(engine) as session:
        return {assigned: VariantShare(count, units) for assigned, count, units in session.execute(query)}


def mirror_pairs(engine: Engine, experiment: str, since: float) -> list[MirrorPair]:
    """Return live requests with their copies, in order of time of the live requests."""
    query = (
        select(
            *(
                Exposure.id,
                Exposure.at,
                Exposure.variant,
                MirroredRequest.variant,
                Exposure.status,
                MirroredRequest.status,
            ),
            *(Exposure.seconds, MirroredRequest.seconds, Exposure.prediction, MirroredRequest.prediction),
        )
        .join(MirroredRequest, MirroredRequest.id == Exposure.id)
        .where(Exposure.experiment == experiment, Exposure.at >= since)
        .order_by(Exposure.at)
    )
    with read_session(engine) as session:
        return [MirrorPair(*row) for row in session.execute(query)]


def new_units(engine: Engine, experiment: str, since: float, since_weights: float) -> dict[str, int]:
    """Count the units by assigned variant whose first request came while the present weights held.

    `since` is when the experiment was created, `since_weights` when its weights last changed. These counts test whether
    the split follows the weights.
    """
    first = (
        select(func.min(Exposure.assigned).label("assigned"))
        .where(Exposure.experiment == experiment, Exposure.at >= since)
        .group_by(Exposure.unit)
        .having(func.min(Exposure.at) >= since_weights + SETTLING_SECONDS)
        .subquery()
    )
    with read_session(engine) as session:
        rows = session.execute(select(first.c.assigned, func.count().label("units")).group_by(first.c.assigned))
        return {row.assigned: row.units for row in rows}
