"""What clients say of the answers: one word each, which stays, and which may come before the log's line does."""

from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import Engine, select, update

from routing.database import insert_new, reading, writing
from routing.tables import Exposure, Feedback

WINDOW = 7 * 86_400.0  # seconds after the request in which feedback counts
LARGEST = 1e9  # of a reward, either way: its square is still a number to reckon with
PATIENCE = 60.0  # seconds in which Envoy's log must name the request
BATCH = 5_000  # rows of one transaction

Status = Literal["accepted", "pending", "unknown", "late", "refused", "conflict"]


@dataclass(frozen=True)
class Answer:
    """What became of a feedback: the reward and the label are those that are kept.

    accepted: it counts. pending: the request is not in the log yet. unknown: it was not there in time; it will count
    should it come. late: the request is older than WINDOW. refused: the label can't be compared with the prediction.
    conflict: another value was kept before. Of the last three nothing new is kept.
    """

    request_id: str
    status: Status
    reward: float | None = None
    label: str | None = None


def give(engine: Engine, request_id: str, reward: float | None, label: str | None, now: float) -> Answer:
    """Keep a reward, or a label to compare the prediction with: one of them is None. `now`: seconds since the epoch."""
    with writing(engine) as session:
        row = session.get(Feedback, request_id, with_for_update=True)
        if row and row.status == "refused":
            session.delete(row)
            session.flush()
            row = None
        if row is None:
            exposure = session.get(Exposure, request_id)
            status, earned = _judge(exposure, reward, label, now)
            if status in {"late", "refused"}:
                return Answer(request_id, status, reward, label)
            new = {"request_id": request_id, "received": now, "reward": earned, "label": label, "status": status}
            insert_new(session, Feedback, [new])
            row = session.get_one(Feedback, request_id, with_for_update=True)
        if label != row.label or (label is None and reward != row.reward):
            return Answer(request_id, "conflict", row.reward, row.label)
        _settle(row, session.get(Exposure, request_id), now)
        return _answer(row)


def kept(engine: Engine, request_id: str) -> Answer:
    """What is known of a request's feedback; unknown if none was given."""
    with reading(engine) as session:
        row = session.get(Feedback, request_id)
        return _answer(row) if row else Answer(request_id, "unknown")


def settle(engine: Engine, now: float) -> None:
    """Look again at what was not in the log; what waited for more than PATIENCE becomes unknown."""
    open_ones = (
        select(Feedback, Exposure)
        .join(Exposure, Exposure.request_id == Feedback.request_id)
        .where(Feedback.status.in_(("pending", "unknown")))
        .limit(BATCH)
        .with_for_update(of=Feedback)
    )
    with writing(engine) as session:
        for row, exposure in session.execute(open_ones).all():
            _settle(row, exposure, now)
    with writing(engine) as session:
        session.execute(
            update(Feedback)
            .where(Feedback.status == "pending", Feedback.received < now - PATIENCE)
            .values(status="unknown")
        )


def reward_of(exposure: Exposure, label: str) -> float | None:
    """1 if the label was predicted, else 0; for a number minus the error. None if they can't be compared."""
    prediction = exposure.prediction or {}
    if "label" in prediction:
        return float(prediction["label"] == label)
    try:
        error = abs(prediction["prediction"] - float(label))
    except (KeyError, ValueError):
        return None
    return -error if error <= LARGEST else None  # not true of NaN, either


def _judge(
    exposure: Exposure | None, reward: float | None, label: str | None, now: float
) -> tuple[Status, float | None]:
    """The status of a feedback received now, and its reward if that is known."""
    if exposure is None:
        return "pending", reward
    if exposure.at < now - WINDOW:
        return "late", reward
    earned = reward if label is None else reward_of(exposure, label)
    return ("refused" if earned is None else "accepted"), earned


def _settle(row: Feedback, exposure: Exposure | None, now: float) -> None:
    if row.status not in {"pending", "unknown"}:
        return
    if exposure:
        row.status, row.reward = _judge(exposure, row.reward, row.label, row.received)
    elif row.received < now - PATIENCE:
        row.status = "unknown"


def _answer(row: Feedback) -> Answer:
    return Answer(row.request_id, cast(Status, row.status), row.reward, row.label)
