"""Rows whose figures are known beforehand, and the history that they belong to. Times are in seconds after NOW."""

import json

from routing.database import insert_new, writing
from routing.experiments import Experiment
from routing.history import Change, State
from routing.split import divide
from routing.summary import Summary, summarize
from routing.tables import Exposure, Feedback
from tests.routing.lines import NOW

A, B, C = "a@1.0", "b@1.0", "c@1.0"


def state(**weights: float) -> State:
    """Percent by model, each in version 1.0; the first is the control."""
    variants = [{"model": name, "version": "1.0", "weight": weight} for name, weight in weights.items()]
    experiment = Experiment(name="e", variants=variants, control=f"{next(iter(weights))}@1.0")
    return State(experiment=experiment, split=divide(experiment.weights))


def history(*steps: tuple[float, str, State]) -> list[Change]:
    """The newest first, from steps in the order of time: when, what, the state after it."""
    common = {"experiment": "e", "who": "me", "why": "to see", "restored": None}
    changes = [
        Change(id=number, after=number - 1, at=NOW + at, what=what, state=after, **common)
        for number, (at, what, after) in enumerate(steps, start=1)
    ]
    return changes[::-1]


def put(engine, table, *rows: dict) -> None:
    with writing(engine) as session:
        insert_new(session, table, list(rows))


def request(name: str, assigned: str, at: float = 100, **fields) -> dict:
    """A good answer of the variant, in 25 ms."""
    common = {"request_id": name, "experiment": "e", "at": NOW + at, "unit": name, "assigned": assigned}
    said = {"variant": assigned, "source": "split", "status": 200, "seconds": 0.025, "prediction": None}
    return {**common, **said, **fields}


def rewarded(engine, variant: str, rewards: list[float]) -> None:
    """A user each."""
    put(engine, Exposure, *(request(f"{variant}{number}", variant) for number in range(len(rewards))))
    rows = ({"request_id": f"{variant}{number}", "reward": reward} for number, reward in enumerate(rewards))
    put(engine, Feedback, *({**row, "received": NOW + 200, "label": None, "status": "accepted"} for row in rows))


def summary(engine, *steps: tuple[float, str, State]) -> Summary:
    """1000 seconds after NOW; JSON can hold it."""
    changes = history(*steps)
    found = summarize(engine, changes[0].state, changes, NOW + 1000)
    assert Summary.model_validate(json.loads(json.dumps(found.model_dump(mode="json"), allow_nan=False))) == found
    return found
