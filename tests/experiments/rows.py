"""Database rows with known figures, and the history that they belong to. Times are in seconds after NOW."""

import json

from marina.experiments.database import Exposure, Feedback, insert_new, write_session
from marina.experiments.history import Change, State
from marina.experiments.report.schema import Summary
from marina.experiments.report.summary import summarize
from marina.experiments.spec import Experiment
from marina.experiments.split import new_split
from tests.experiments.log_lines import NOW

A, B, C = "a@1.0", "b@1.0", "c@1.0"


def state(**weights: float) -> State:
    """Return the state with these weights in percent by model, each in version 1.0; the first is the control."""
    variants = [{"model": name, "version": "1.0", "weight": weight} for name, weight in weights.items()]
    experiment = Experiment(name="e", variants=variants, control=f"{next(iter(weights))}@1.0")
    return State(experiment=experiment, split=new_split(experiment.weights))


def history(*steps: tuple[float, str, State]) -> list[Change]:
    """Return changes, newest first, from steps in order of time: time, kind, and the state after it."""
    common = {"experiment": "e", "who": "me", "why": "to see", "restored": None}
    changes = [
        Change(id=number, after=number - 1, at=NOW + at, what=what, state=after, **common)
        for number, (at, what, after) in enumerate(steps, start=1)
    ]
    return changes[::-1]


def put(engine, table, *rows: dict) -> None:
    with write_session(engine) as session:
        insert_new(session, table, list(rows))


def request(name: str, assigned: str, at: float = 100, **fields) -> dict:
    """A successful response of the variant, in 25 ms."""
    common = {"request_id": name, "experiment": "e", "at": NOW + at, "unit": name, "assigned": assigned}
    response = {"variant": assigned, "source": "split", "status": 200, "seconds": 0.025, "prediction": None}
    return {**common, **response, **fields}


def rewarded(engine, variant: str, rewards: list[float]) -> None:
    """Insert a user for each reward."""
    put(engine, Exposure, *(request(f"{variant}{number}", variant) for number in range(len(rewards))))
    rows = ({"request_id": f"{variant}{number}", "reward": reward} for number, reward in enumerate(rewards))
    put(engine, Feedback, *({**row, "received": NOW + 200, "label": None, "status": "accepted"} for row in rows))


def summary(engine, *steps: tuple[float, str, State]) -> Summary:
    """Return the summary 1000 seconds after NOW; check that it is valid JSON."""
    changes = history(*steps)
    result = summarize(engine, changes[0].state, changes, NOW + 1000)
    assert Summary.model_validate(json.loads(json.dumps(result.model_dump(mode="json"), allow_nan=False))) == result
    return result
