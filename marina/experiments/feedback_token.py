"""Feedback tokens: each response to an experiment's request carries one, and feedback on it must give it.

A token is `<experiment>.<exposure id>.<seconds>.<HMAC-SHA256>`. The HMAC covers the request id, too. Envoy signs it
(marina/serving/envoy/feedback_token.lua) and control verifies it, which needs no look-up: feedback may arrive before
its request is in the database. Nodes that share a database share its keys.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from marina.experiments.database import FeedbackKey, read_session, write_session

FEEDBACK_SECONDS = 7 * 86_400.0  # a token's life: later feedback is rejected
ROTATION_SECONDS = 30 * 86_400.0  # a key's life; it verifies for FEEDBACK_SECONDS longer
KEY_BYTES = 32  # in hexadecimal they fill SHA-256's block


@dataclass(frozen=True)
class Claims:
    """The facts that a token proves: Envoy has sent it in response to this request, at this time."""

    experiment: str
    exposure: str
    at: float
    request_id: str


def verify(token: str, request_id: str, keys: Sequence[str]) -> Claims | None:
    """Return the claims of a token; None if none of the keys has signed it for this request.

    >>> verify("digits.5f0e.1763800000.00", "ada-1", ["key"]) is None
    True
    """
    signed, _, signature = token.rpartition(".")
    message = f"{signed} {request_id}".encode(errors="replace")
    given = signature.encode(errors="replace")
    signatures = [hmac(key.encode(), message, sha256).hexdigest().encode() for key in keys]
    if not any(compare_digest(right, given) for right in signatures):
        return None
    experiment, exposure, seconds = signed.rsplit(".", 2)
    return Claims(experiment, exposure, float(seconds), request_id)


def stored_keys(session: Session) -> list[str]:
    """Return all keys, newest first."""
    return list(session.scalars(select(FeedbackKey.key).order_by(FeedbackKey.id.desc())))


def signing_key(engine: Engine, now: float) -> str:
    """Return the newest key; make one if there is none, or if it is older than ROTATION_SECONDS."""
    with read_session(engine) as session:
        newest = session.scalar(select(FeedbackKey).order_by(FeedbackKey.id.desc()).limit(1))
    if newest and newest.created > now - ROTATION_SECONDS:
        return newest.key
    with write_session(engine) as session:
        expired = now - ROTATION_SECONDS - FEEDBACK_SECONDS
        session.execute(delete(FeedbackKey).where(FeedbackKey.created < expired))
        session.add(FeedbackKey(created=now, key=secrets.token_hex(KEY_BYTES)))
    with read_session(engine) as session:  # of two nodes that made a key at once, both take the newer
        return stored_keys(session)[0]
