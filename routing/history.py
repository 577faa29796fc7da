"""Every change of an experiment, with the whole state after it: nothing is ever overwritten."""

import time
from typing import Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from routing.database import reading, writing
from routing.experiments import Experiment, Strict
from routing.split import Split
from routing.tables import ChangeRow

What = Literal["create", "weights", "promote", "rollback", "mirror", "stop", "guard", "ramp", "bandit"]


class ConflictError(Exception):
    """Someone else changed the experiment in the meantime: look again, and decide again."""


class NothingBeforeError(LookupError):
    """There is no state to go back to."""


class State(Strict):
    """All that decides where the traffic of an experiment goes."""

    experiment: Experiment
    split: Split
    running: bool = True


class Change(BaseModel):
    """`at` is in seconds since the epoch; `restored` is the id of the change that a rollback went back to."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: int
    experiment: str
    at: float
    who: str
    what: What
    why: str
    after: int
    restored: int | None
    state: State


def append(
    engine: Engine, state: State, who: str, what: What, why: str, *, after: int, restored: int | None = None
) -> Change:
    """Keep a change. `after` is the id of the last change, which it was derived from; 0 for a new experiment.

    Raises ConflictError if that is not the last change (any more).
    """
    name = state.experiment.name
    row = ChangeRow(
        experiment=name,
        after=after,
        at=time.time(),
        who=who,
        what=what,
        why=why,
        restored=restored,
        state=state.model_dump(mode="json"),
    )
    try:
        with writing(engine) as session:
            last = session.scalar(select(func.max(ChangeRow.id)).where(ChangeRow.experiment == name)) or 0
            if last != after:
                raise ConflictError(f"{name}: the last change is {last}, not {after}")
            session.add(row)
    except IntegrityError as fault:
        raise ConflictError(f"{name}: another change came after {after} just now") from fault
    return Change.model_validate(row)


def current(engine: Engine) -> dict[str, State]:
    """The state of each experiment, by name."""
    last = select(func.max(ChangeRow.id)).group_by(ChangeRow.experiment)
    with reading(engine) as session:
        rows = session.scalars(select(ChangeRow).where(ChangeRow.id.in_(last)).order_by(ChangeRow.experiment))
        return {row.experiment: State.model_validate(row.state) for row in rows}


def changes(engine: Engine, experiment: str) -> list[Change]:
    """The newest first."""
    with reading(engine) as session:
        rows = session.scalars(_newest_first(experiment))
        return [Change.model_validate(row) for row in rows]


def last(engine: Engine, experiment: str) -> Change | None:
    """The last change: its id is the `after` of the next one."""
    with reading(engine) as session:
        row = session.scalar(_newest_first(experiment).limit(1))
        return Change.model_validate(row) if row else None


def previous(engine: Engine, experiment: str) -> Change | None:
    """The change whose state a rollback restores, None where there is nothing before.

    It is the one before the change in effect; after a rollback, that is the one which was restored. So a second
    rollback goes further back instead of undoing the first, and what was rolled back is never restored.
    """
    with reading(engine) as session:
        row = _in_effect(session, session.scalar(_newest_first(experiment).limit(1)))
        before = _in_effect(session, row and session.get(ChangeRow, row.after))
        return Change.model_validate(before) if before else None


def rollback(engine: Engine, experiment: str, who: str, why: str) -> Change:
    """Restore the state of `previous`. Raises NothingBeforeError and ConflictError."""
    latest = last(engine, experiment)
    before = previous(engine, experiment)
    if latest is None or before is None:
        raise NothingBeforeError(f"{experiment}: there is nothing before to go back to")
    return append(engine, before.state, who, "rollback", why, after=latest.id, restored=before.id)


def _newest_first(experiment: str) -> Select[ChangeRow]:
    return select(ChangeRow).where(ChangeRow.experiment == experiment).order_by(ChangeRow.id.desc())


def _in_effect(session: Session, row: ChangeRow | None) -> ChangeRow | None:
    """The change itself, or the one that it restored."""
    return session.get(ChangeRow, row.restored) if row and row.restored else row
