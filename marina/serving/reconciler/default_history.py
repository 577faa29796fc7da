"""History of each model's default version: every change with its time, user and reason.

The semantics of a rollback are those of experiments (marina/experiments/history.py): a second rollback goes further
back instead of undoing the first, and a version that was rolled back is not restored.
"""

import getpass
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel

MAX_CHANGES = 100  # of each model

DefaultChangeKind = Literal["first", "set-default", "rollback"]


class DefaultChange(BaseModel):
    """One change: `at` is UTC in ISO 8601, `restored` the id of the change that a rollback went back to."""

    id: int
    at: str
    who: str
    what: DefaultChangeKind
    why: str = ""
    version: str
    restored: int | None = None


def user() -> str:
    """Return the name of the user; the number of one that has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def append(
    changes: Sequence[DefaultChange], what: DefaultChangeKind, version: str, why: str, restored: int | None = None
) -> list[DefaultChange]:
    """Return the last changes with one more."""
    change = DefaultChange(
        id=changes[-1].id + 1 if changes else 1,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        who=user(),
        what=what,
        why=why,
        version=version,
        restored=restored,
    )
    return [*changes, change][-MAX_CHANGES:]


def previous(changes: Sequence[DefaultChange]) -> DefaultChange | None:
    """Return the change whose version a rollback restores, None where there is no earlier one.

    It is the one before the change in effect; after a rollback, that is the one which was restored.
    """
    by_id = {change.id: change for change in changes}
    current = _in_effect(by_id, changes[-1].id) if changes else None
    before = current
    while before is not None and current is not None and before.version == current.version:
        before = _in_effect(by_id, before.id - 1)
    return before


def _in_effect(by_id: dict[int, DefaultChange], identity: int) -> DefaultChange | None:
    """Return the change itself, or the one that it restored."""
    change = by_id.get(identity)
    return by_id.get(change.restored) if change and change.restored else change
