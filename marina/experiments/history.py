"""History of the experiments: every change with the state after it; nothing is ever overwritten.

A change names the change that it was derived from, so that of two writers at once one gets a ConflictError.
"""

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marina.errors import ConflictError, NothingToRollBackError
from marina.experiments.database import ChangeRow, read_session, write_session
from marina.experiments.spec import Experiment, StrictModel
from marina.experiments.split import Split

ChangeKind = Literal["create", "weights", "promote", "rollback", "mirror", "stop", "guard", "ramp", "bandit"]


class State(StrictModel):
    """Everything that decides how the traffic of an experiment is routed."""

    experiment: Experiment
    split: Split
    running: bool = True


class Change(BaseModel):
    """A change and the state after it.

    `at` is in seconds since the epoch, `after` the id of the change that it was derived from (0: none), and `restored`
    the id of the change that a rollback went back to.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: int
    experiment: str
    at: float
    who: str
    what: ChangeKind
    why: str
    after: int
    restored: int | None
    state: State


def append(
    engine: Engine, state: State, who: str, what: ChangeKind, why: str, *, after: int, restored: int | None = None
) -> Change:
    """Store a change. `after` is the id of the last change, which it was derived from; 0 for a new experiment.

    Raises ConflictError if that is not the last change, or no longer.
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
        with write_session(engine) as session:
            last = session.scalar(select(func.max(ChangeRow.id)).where(ChangeRow.experiment == name)) or 0
            if last != after:
                raise ConflictError(f"{name}: the last change is {last}, not {after}")
            session.add(row)
    except IntegrityError as exc:
        raise ConflictError(f"{name}: another change came after {after} just now") from exc
    return Change.model_validate(row)


def current(engine: Engine) -> dict[str, State]:
    """Return the state of each experiment, by name."""
    last = select(func.max(ChangeRow.id)).group_by(ChangeRow.experiment)
    with read_session(engine) as session:
        rows = session.scalars(select(ChangeRow).where(ChangeRow.id.in_(last)).order_by(ChangeRow.experiment))
        return {row.experiment: State.model_validate(row.state) for row in rows}


def changes(engine: Engine, experiment: str) -> list[Change]:
    """Return all changes of an experiment, newest first."""
    with read_session(engine) as session:
        rows = session.scalars(_newest_first(experiment))
        return [Change.model_validate(row) for row in rows]


def last(engine: Engine, experiment: str) -> Change | None:
    """Return the last change, None for an unknown experiment. Its id is the `after` of the next one."""
    with read_session(engine) as session:
        return latest(session, experiment)


def latest(session: Session, experiment: str) -> Change | None:
    """Return `last` within a session."""
    row = session.scalar(_newest_first(experiment).limit(1))
    return Change.model_validate(row) if row else None


def previous(engine: Engine, experiment: str) -> Change | None:
    """Return the change whose state a rollback restores, None where there is no earlier one.

    It is the one before the change in effect; after a rollback, that is the one which was restored. So a second
    rollback goes further back instead of undoing the first, and a state that was rolled back is never restored.
    """
    with read_session(engine) as session:
        row = _in_effect(session, session.scalar(_newest_first(experiment).limit(1)))
        before = _in_effect(session, row and session.get(ChangeRow, row.after))
        return Change.model_validate(before) if before else None


def rollback(engine: Engine, experiment: str, who: str, why: str) -> Change:
    """Restore the state of `previous`. Raises NothingToRollBackError and ConflictError."""
    latest = last(engine, experiment)
    before = previous(engine, experiment)
    if latest is None or before is None:
        raise NothingToRollBackError(f"{experiment}: there is nothing before to go back to")
    return append(engine, before.state, who, "rollback", why, after=latest.id, restored=before.id)


def _newest_first(experiment: str) -> Select[ChangeRow]:
    return select(ChangeRow).where(ChangeRow.experiment == experiment).order_by(ChangeRow.id.desc())


def _in_effect(session: Session, row: ChangeRow | None) -> ChangeRow | None:
    """Return the change itself, or the one that it restored."""
    return session.get(ChangeRow, row.restored) if row and row.restored else row


def creation(changes: Sequence[Change]) -> Change:
    """Return the change that created the experiment last; `changes` are all of its changes, newest first."""
    return next((change for change in changes if change.what == "create"), changes[-1])


def last_split_change(changes: Sequence[Change]) -> Change:
    """Return the change that made the present split; `changes` are all of the experiment's, newest first."""
    for change, before in pairwise(changes):
        if change.what == "create" or change.state.split != before.state.split:
            return change
    return changes[-1]
