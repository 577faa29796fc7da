"""Feedback on predictions: one reward or label per request, which is never overwritten.

Feedback may arrive before its request is in the database, because requests are read from Envoy's log with a delay.
Until then its status is pending. Its token proves that the request exists (marina.experiments.feedback_token).
"""

from dataclasses import dataclass
from typing import Annotated, Literal, cast

from pydantic import Field
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from marina.experiments import history
from marina.experiments.database import Exposure, Feedback, insert_new, read_session, write_session
from marina.experiments.feedback_token import FEEDBACK_SECONDS, Claims
from marina.experiments.spec import RewardBounds

MAX_REWARD = 1e9  # largest absolute reward: the statistics sum squares, which must stay precise in a float
UNBOUNDED = RewardBounds(low=-MAX_REWARD, high=MAX_REWARD)
LOG_WAIT_SECONDS = 60.0  # pending feedback whose request is not in Envoy's log after this time becomes unknown
BATCH = 5_000  # rows per transaction

Status = Literal["accepted", "pending", "unknown", "late", "out_of_bounds", "refused", "conflict"]


@dataclass(frozen=True)
class FeedbackResult:
    """The status of a feedback, with the reward and the label that are stored.

    accepted: it counts. pending: the request is not in the log yet. unknown: it was not there in time; it will count if
    it still arrives. late: the request is older than FEEDBACK_SECONDS. out_of_bounds: the experiment allows no such
    reward. refused: the label can't be compared with the prediction. conflict: another value was stored before. For the
    last four nothing new is stored.
    """

    request_id: str
    status: Status
    reward: float | None = None
    label: str | None = None
    bounds: Annotated[str, Field(exclude=True)] = ""  # of the experiment's rewards, where these refuse the feedback


def record(engine: Engine, claims: Claims, reward: float | None, label: str | None, now: float) -> FeedbackResult:
    """Store feedback on a request and return its status. The same feedback may be sent again.

    It is either a reward, or a label to compare with the prediction; the other one is None. `now` is in seconds since
    the epoch.

    >>> record(engine, claims, None, "7", time.time()).status  # doctest: +SKIP
    'accepted'
    """
    with write_session(engine) as session:
        row = session.get(Feedback, claims.exposure, with_for_update=True)
        if row and row.status == "refused":  # it became so while pending, and counts for nothing: accept another value
            session.delete(row)
            session.flush()
            row = None
        if row is None:
            bounds = bounds_of(session, claims.experiment)
            if claims.at < now - FEEDBACK_SECONDS:
                return FeedbackResult(claims.request_id, "late", reward, label)
            if reward is not None and not bounds.low <= reward <= bounds.high:
                return FeedbackResult(claims.request_id, "out_of_bounds", reward, bounds=str(bounds))
            status, value = _evaluate(session, session.get(Exposure, claims.exposure), reward, label)
            if status == "refused":
                return FeedbackResult(claims.request_id, status, reward, label)
            new = {"id": claims.exposure, "received": now, "reward": value, "label": label, "status": status}
            insert_new(session, Feedback, [new])
            row = session.get_one(Feedback, claims.exposure, with_for_update=True)
        if label != row.label or (label is None and reward != row.reward):
            return FeedbackResult(claims.request_id, "conflict", row.reward, row.label)
        _resolve(session, row, session.get(Exposure, claims.exposure), now)
        return _result(claims, row)


def find(engine: Engine, claims: Claims) -> FeedbackResult:
    """Return the feedback stored for a request; with status unknown if there is none."""
    with read_session(engine) as session:
        row = session.get(Feedback, claims.exposure)
        return _result(claims, row) if row else FeedbackResult(claims.request_id, "unknown")


def resolve_pending(engine: Engine, now: float) -> None:
    """Match pending and unknown feedback with requests that have reached the database since it was received.

    Feedback that is still pending after LOG_WAIT_SECONDS becomes unknown.
    """
    unresolved = (
        select(Feedback, Exposure)
        .join(Exposure, Exposure.id == Feedback.id)
        .where(Feedback.status.in_(("pending", "unknown")))
        .limit(BATCH)
        .with_for_update(of=Feedback)
    )
    with write_session(engine) as session:
        for row, exposure in session.execute(unresolved).all():
            _resolve(session, row, exposure, now)
    with write_session(engine) as session:
        session.execute(
            update(Feedback)
            .where(Feedback.status == "pending", Feedback.received < now - LOG_WAIT_SECONDS)
            .values(status="unknown")
        )


def bounds_of(session: Session, experiment: str) -> RewardBounds:
    """Return the bounds of an experiment's rewards; without declared ones, those of any reward."""
    last = history.latest(session, experiment)
    return (last and last.state.experiment.reward) or UNBOUNDED


def reward_of(exposure: Exposure, label: str, bounds: RewardBounds) -> float | None:
    """Return the reward of a prediction, given the true label.

    For a class: the highest reward if it is the label, else the lowest. For a number: the highest reward minus the
    absolute error, at least the lowest. Without bounds, 1 or 0, and minus the absolute error. None if the prediction
    and the label can't be compared.
    """
    low, high = (bounds.low, bounds.high) if bounds != UNBOUNDED else (-MAX_REWARD, 0.0)
    prediction = exposure.prediction or {}
    if "label" in prediction:
        right = prediction["label"] == label
        return float(right) if bounds == UNBOUNDED else high if right else low
    try:
        error = abs(prediction["prediction"] - float(label))
    except (KeyError, ValueError):
        return None
    return max(high - error, low) if error <= MAX_REWARD else None  # also None for NaN, whose comparison is false


def _evaluate(
    session: Session, exposure: Exposure | None, reward: float | None, label: str | None
) -> tuple[Status, float | None]:
    """Return the status of feedback, and its reward, None until a label was compared."""
    if exposure is None:
        return "pending", reward
    value = reward if label is None else reward_of(exposure, label, bounds_of(session, exposure.experiment))
    return ("refused" if value is None else "accepted"), value


def _resolve(session: Session, row: Feedback, exposure: Exposure | None, now: float) -> None:
    """Update pending or unknown feedback: by its request if that is in the database, else by its age."""
    if row.status not in {"pending", "unknown"}:
        return
    if exposure:
        row.status, row.reward = _evaluate(session, exposure, row.reward, row.label)
    elif row.received < now - LOG_WAIT_SECONDS:
        row.status = "unknown"


def _result(claims: Claims, row: Feedback) -> FeedbackResult:
    return FeedbackResult(claims.request_id, cast(Status, row.status), row.reward, row.label)
