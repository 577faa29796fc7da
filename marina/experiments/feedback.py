"""Feedback on predictions: one reward or label per request, which is never overwritten.

Feedback may arrive before its request is in the database, because requests are read from Envoy's log with a delay.
Until then its status is pending.
"""

from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import Engine, select, update

from marina.experiments.database import Exposure, Feedback, insert_new, read_session, write_session

FEEDBACK_SECONDS = 7 * 86_400.0  # feedback on older requests is rejected as late
MAX_REWARD = 1e9  # largest absolute reward: the statistics sum squares, which must stay precise in a float
LOG_WAIT_SECONDS = 60.0  # pending feedback whose request is not in Envoy's log after this time becomes unknown
BATCH = 5_000  # rows per transaction

Status = Literal["accepted", "pending", "unknown", "late", "refused", "conflict"]


@dataclass(frozen=True)
class FeedbackResult:
    """The status of a feedback, with the reward and the label that are stored.

    accepted: it counts. pending: the request is not in the log yet. unknown: it was not there in time; it will count if
    it still arrives. late: the request is older than FEEDBACK_SECONDS. refused: the label can't be compared with the
    prediction. conflict: another value was stored before. For the last three nothing new is stored.
    """

    request_id: str
    status: Status
    reward: float | None = None
    label: str | None = None


def record(engine: Engine, request_id: str, reward: float | None, label: str | None, now: float) -> FeedbackResult:
    """Store feedback on a request and return its status. The same feedback may be sent again.

    It is either a reward, or a label to compare with the prediction; the other one is None. `now` is in seconds since
    the epoch.

    >>> record(engine, request_id, None, "7", time.time()).status  # doctest: +SKIP
    'accepted'
    """
    with write_session(engine) as session:
        row = session.get(Feedback, request_id, with_for_update=True)
        if row and row.status == "refused":  # it became so while pending, and counts for nothing: accept another value
            session.delete(row)
            session.flush()
            row = None
        if row is None:
            exposure = session.get(Exposure, request_id)
            status, value = _evaluate(exposure, reward, label, now)
            if status in {"late", "refused"}:
                return FeedbackResult(request_id, status, reward, label)
            new = {"request_id": request_id, "received": now, "reward": value, "label": label, "status": status}
            insert_new(session, Feedback, [new])
            row = session.get_one(Feedback, request_id, with_for_update=True)
        if label != row.label or (label is None and reward != row.reward):
            return FeedbackResult(request_id, "conflict", row.reward, row.label)
        _resolve(row, session.get(Exposure, request_id), now)
        return _result(row)


def find(engine: Engine, request_id: str) -> FeedbackResult:
    """Return the feedback stored for a request; with status unknown if there is none."""
    with read_session(engine) as session:
        row = session.get(Feedback, request_id)
        return _result(row) if row else FeedbackResult(request_id, "unknown")


def resolve_pending(engine: Engine, now: float) -> None:
    """Match pending and unknown feedback with requests that have reached the database since it was received.

    Feedback that is still pending after LOG_WAIT_SECONDS becomes unknown.
    """
    unresolved = (
        select(Feedback, Exposure)
        .join(Exposure, Exposure.request_id == Feedback.request_id)
        .where(Feedback.status.in_(("pending", "unknown")))
        .limit(BATCH)
        .with_for_update(of=Feedback)
    )
    with write_session(engine) as session:
        for row, exposure in session.execute(unresolved).all():
            _resolve(row, exposure, now)
    with write_session(engine) as session:
        session.execute(
            update(Feedback)
            .where(Feedback.status == "pending", Feedback.received < now - LOG_WAIT_SECONDS)
            .values(status="unknown")
        )


def reward_of(exposure: Exposure, label: str) -> float | None:
    """Return the reward of a prediction, given the true label.

    For a class: 1.0 if it is the label, else 0.0. For a number: minus its absolute error. None if the prediction and
    the label can't be compared.
    """
    prediction = exposure.prediction or {}
    if "label" in prediction:
        return float(prediction["label"] == label)
    try:
        error = abs(prediction["prediction"] - float(label))
    except (KeyError, ValueError):
        return None
    return -error if error <= MAX_REWARD else None  # also None for NaN, whose comparison is false


def _evaluate(
    exposure: Exposure | None, reward: float | None, label: str | None, now: float
) -> tuple[Status, float | None]:
    """Return the status of feedback received at `now`, and its reward, None until a label was compared."""
    if exposure is None:
        return "pending", reward
    if exposure.at < now - FEEDBACK_SECONDS:
        return "late", reward
    value = reward if label is None else reward_of(exposure, label)
    return ("refused" if value is None else "accepted"), value


def _resolve(row: Feedback, exposure: Exposure | None, now: float) -> None:
    """Update pending or unknown feedback: by its request if that is in the database, else by its age."""
    if row.status not in {"pending", "unknown"}:
        return
    if exposure:
        row.status, row.reward = _evaluate(exposure, row.reward, row.label, row.received)
    elif row.received < now - LOG_WAIT_SECONDS:
        row.status = "unknown"


def _result(row: Feedback) -> FeedbackResult:
    return FeedbackResult(row.request_id, cast(Status, row.status), row.reward, row.label)
