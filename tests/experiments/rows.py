"""Builders of database rows, states and histories of an experiment `e`, for tests of reports and statistics.

Times are in seconds after NOW.
"""

import json

from marina.experiments.database import Exposure, Feedback, insert_new, write_session
from marina.experiments.feedback_token import Claims
from marina.experiments.history import Change, State, append
from marina.experiments.report.schema import Summary
from marina.experiments.report.summary import summarize
from marina.experiments.spec import Experiment, RewardBounds
from marina.experiments.split import new_split
from tests.experiments.log_lines import NOW

A, B, C = "a@1.0", "b@1.0", "c@1.0"  # variants


def state(**weights: float) -> State:
    """Return the state of an experiment with these weights in percent by model (version 1.0); the first is control.

    >>> state(a=90, b=10).experiment.control
    'a@1.0'
    """
    variants = [{"model": name, "version": "1.0", "weight": weight} for name, weight in weights.items()]
    experiment = Experiment(name="e", variants=variants, control=f"{next(iter(weights))}@1.0")
    return State(experiment=experiment, split=new_split(experiment.weights))


def history(*steps: tuple[float, str, State]) -> list[Change]:
    """Return the changes of an experiment, newest first.

    Each step is the time of a change, its kind ("create", "weights", ...), and the state after it; oldest first.
    """
    common = {"experiment": "e", "who": "me", "why": "to see", "restored": None}
    changes = [
        Change(id=number, after=number - 1, at=NOW + at, what=what, state=after, **common)
        for number, (at, what, after) in enumerate(steps, start=1)
    ]
    return changes[::-1]


def claims(exposure: str, at: float = 0.0) -> Claims:
    """Return the facts that a verified token proves of a request, whose id is the same; `at` is after NOW."""
    return Claims("e", exposure, NOW + at, exposure)


def declare(engine, reward: RewardBounds | None) -> None:
    """Create the experiment with these bounds of its rewards."""
    experiment = state(a=50, b=50).experiment.with_fields(reward=reward)
    declared = State(experiment=experiment, split=new_split(experiment.weights))
    append(engine, declared, "me", "create", "", after=0)


def insert_rows(engine, table, *rows: dict) -> None:
    """Insert rows into a table, which is a class such as Exposure."""
    with write_session(engine) as session:
        insert_new(session, table, list(rows))


def exposure_row(request_id: str, assigned: str, at: float = 100, **fields) -> dict:
    """Return a row of Exposure: a request that the assigned variant served successfully, in 25 ms.

    `fields` replace columns, for instance `status=500`. Each request is from another user.
    """
    common = {"id": request_id, "experiment": "e", "at": NOW + at, "unit": request_id, "assigned": assigned}
    response = {"variant": assigned, "source": "split", "status": 200, "seconds": 0.025, "prediction": None}
    return {**common, **response, **fields}


def insert_rewarded_users(engine, variant: str, rewards: list[float]) -> None:
    """Insert a request of a new user to the variant for each reward, and accepted feedback with that reward."""
    insert_rows(engine, Exposure, *(exposure_row(f"{variant}{number}", variant) for number in range(len(rewards))))
    rows = ({"id": f"{variant}{number}", "reward": reward} for number, reward in enumerate(rewards))
    insert_rows(
        engine, Feedback, *({**row, "received": NOW + 200, "label": None, "status": "accepted"} for row in rows)
    )


def summary(engine, *steps: tuple[float, str, State]) -> Summary:
    """Return the summary of the experiment at NOW + 1000; check that it survives a round trip through JSON."""
    changes = history(*steps)
    result = summarize(engine, changes[0].state, changes, NOW + 1000)
    assert Summary.model_validate(json.loads(json.dumps(result.model_dump(mode="json"), allow_nan=False))) == result
    return result
