"""/v1/feedback: the right label, or a reward for a prediction.

Feedback is on the disk before the response is sent. It needs the token of the response that it is on.
"""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Engine

from marina import headers
from marina.api.exception_handlers import NO_DATABASE, FieldError
from marina.experiments import feedback, feedback_token
from marina.experiments.database import ShortText, read_session
from marina.experiments.feedback_token import FEEDBACK_SECONDS, Claims

router = APIRouter(prefix="/v1/feedback", tags=["feedback"])

RequestId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
Token = Annotated[str, Header(alias=headers.FEEDBACK_TOKEN, max_length=512)]


class FeedbackRequest(BaseModel):
    """Either a reward, the higher the better, or the label that would have been right."""

    model_config = ConfigDict(extra="forbid")

    request_id: RequestId
    reward: Annotated[float, Field(strict=True, ge=-feedback.MAX_REWARD, le=feedback.MAX_REWARD)] | None = None
    label: ShortText | None = None


def get_engine(request: Request) -> Engine:
    """Return the database of the experiments, a FastAPI dependency; raise HTTPException 503 while there is none."""
    engine: Engine | None = request.app.state.engine
    if engine is None:
        raise HTTPException(503, f"{NO_DATABASE}: see the log of control")
    return engine


EngineDependency = Annotated[Engine, Depends(get_engine)]


def verified(engine: Engine, token: str, request_id: str) -> Claims:
    """Return the claims of a token; raise FieldError if Marina has not sent it in response to this request."""
    with read_session(engine) as session:
        keys = feedback_token.stored_keys(session)
    claims = feedback_token.verify(token, request_id, keys)
    if claims is None:
        message = f"{request_id}: no response to this request had this token: send its header {headers.FEEDBACK_TOKEN}"
        raise FieldError(403, message, headers.FEEDBACK_TOKEN)
    return claims


def respond(result: feedback.FeedbackResult, response: Response) -> feedback.FeedbackResult:
    """Set the status of the response to that of the feedback; raise FieldError if the feedback was not accepted."""
    field = "reward" if result.label is None else "label"
    errors = {
        "unknown": (404, "request_id", "no feedback on this request is stored, or the request is not in the log"),
        "late": (410, "request_id", f"the request is more than {FEEDBACK_SECONDS / 86_400:g} days old"),
        "out_of_bounds": (400, "reward", f"reward {result.reward} is not within the experiment's {result.bounds}"),
        "refused": (400, "label", "the prediction has no label, or is a number and this is none"),
        "conflict": (409, field, f"{field} {getattr(result, field)!r} was given before, and stays"),
    }
    if result.status in errors:
        status, field, message = errors[result.status]
        raise FieldError(status, f"{result.request_id}: {message}", field)
    response.status_code = 202 if result.status == "pending" else 200
    return result


@router.post("", responses={202: {"model": feedback.FeedbackResult}})
def record(
    request: FeedbackRequest, token: Token, engine: EngineDependency, response: Response
) -> feedback.FeedbackResult:
    """Rate the prediction of `request_id`, or give the right label.

    The response to that request had the headers x-request-id and x-feedback-token. 200: it counts. 202: it is stored
    until the request is in the log. The first value stays; sending it again is fine.
    """
    if (request.reward is None) == (request.label is None):
        raise FieldError(400, "give either reward or label", "reward" if request.reward is None else "label")
    claims = verified(engine, token, request.request_id)
    return respond(feedback.record(engine, claims, request.reward, request.label, time.time()), response)


@router.get("/{request_id}", responses={202: {"model": feedback.FeedbackResult}})
def get(request_id: RequestId, token: Token, engine: EngineDependency, response: Response) -> feedback.FeedbackResult:
    """Return the feedback on a request: the same response that sending it again would get."""
    return respond(feedback.find(engine, verified(engine, token, request_id)), response)
