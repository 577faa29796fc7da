"""/v1/feedback: what was right, or how good an answer was. A reply means that it is on the disk."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from control.faults import FieldError
from routing import feedback
from routing.lines import RequestId, Text

router = APIRouter(prefix="/v1/feedback", tags=["feedback"])


class Given(BaseModel):
    """Either a reward, the higher the better, or the label that would have been right."""

    model_config = ConfigDict(extra="forbid")

    request_id: RequestId
    reward: Annotated[float, Field(strict=True, ge=-feedback.LARGEST, le=feedback.LARGEST)] | None = None
    label: Text | None = None


def the_engine(request: Request) -> Engine:
    engine: Engine | None = request.app.state.engine
    if engine is None:
        raise HTTPException(503, "the database of the experiments does not answer: see the log of control")
    return engine


EngineOf = Annotated[Engine, Depends(the_engine)]


def answered(answer: feedback.Answer, response: Response) -> feedback.Answer:
    """Its status is the reply's, or an error."""
    field = "reward" if answer.label is None else "label"
    faults = {
        "unknown": (404, "request_id", "no request to an experiment has this id"),
        "late": (410, "request_id", f"the request is more than {feedback.WINDOW / 86_400:g} days old"),
        "refused": (400, "label", "the prediction has no label, or is a number and this is none"),
        "conflict": (409, field, f"{field} {getattr(answer, field)!r} was given before, and stays"),
    }
    if answer.status in faults:
        status, field, message = faults[answer.status]
        raise FieldError(status, f"{answer.request_id}: {message}", field)
    response.status_code = 202 if answer.status == "pending" else 200
    return answer


@router.post("", responses={202: {"model": feedback.Answer}})
def give(given: Given, engine: EngineOf, response: Response) -> feedback.Answer:
    """Say of the answer to `request_id` (header x-request-id of the reply) how good it was, or what was right.

    200: it counts. 202: it is kept until the request is in the log. The first value stays; saying it again is fine.
    """
    if (given.reward is None) == (given.label is None):
        raise FieldError(400, "give either reward or label", "reward" if given.reward is None else "label")
    return answered(feedback.give(engine, given.request_id, given.reward, given.label, time.time()), response)


@router.get("/{request_id}", responses={202: {"model": feedback.Answer}})
def look(request_id: RequestId, engine: EngineOf, response: Response) -> feedback.Answer:
    """What became of it: the same reply that giving it again would get."""
    return answered(feedback.kept(engine, request_id), response)
