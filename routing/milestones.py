"""From when on an experiment's figures count."""

from collections.abc import Sequence
from itertools import pairwise

from routing.history import Change


def created(changes: Sequence[Change]) -> Change:
    """The last beginning; `changes` are all of an experiment's, the newest first."""
    return next((change for change in changes if change.what == "create"), changes[-1])


def moved(changes: Sequence[Change]) -> Change:
    """The change that gave the split as it is now."""
    for change, before in pairwise(changes):
        if change.what == "create" or change.state.split != before.state.split:
            return change
    return changes[-1]
