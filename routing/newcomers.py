"""The units that tell whether the split is what the weights say: those that came first while the weights held."""

from sqlalchemy import Engine, func, select

from routing.database import reading
from routing.tables import Exposure

SETTLING = 15.0  # seconds that Envoy may still follow the split before; a variant now at 0 must not look impossible


def newcomers(engine: Engine, experiment: str, since: float, since_weights: float) -> dict[str, int]:
    """By the variant that was assigned; `since` (seconds since the epoch) is when the experiment was created."""
    first = (
        select(func.min(Exposure.assigned).label("assigned"))
        .where(Exposure.experiment == experiment, Exposure.at >= since)
        .group_by(Exposure.unit)
        .having(func.min(Exposure.at) >= since_weights + SETTLING)
        .subquery()
    )
    with reading(engine) as session:
        rows = session.execute(select(first.c.assigned, func.count().label("units")).group_by(first.c.assigned))
        return {row.assigned: row.units for row in rows}
