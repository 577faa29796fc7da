"""Errors in TorchServe's shape."""

import asyncio
import json

import pytest
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from control.faults import HANDLERS, FieldError, reply
from routing.experiments import ExperimentError
from routing.history import ConflictError, NothingBeforeError
from routing.pilot import UnconfirmedError, UnknownError, UnreadyError
from serving.errors import MarinaError


def handled(fault: Exception) -> dict:
    """The body; its code is the status of the reply."""
    answer = asyncio.run(HANDLERS[type(fault) if type(fault) is not FieldError else HTTPException](None, fault))
    body = json.loads(answer.body)
    assert answer.status_code == body["code"]
    assert set(body) <= {"code", "type", "message", "field"}
    return body


@pytest.mark.parametrize(
    ("fault", "code", "kind"),
    [
        (ExperimentError("why"), 400, "BadRequestException"),
        (MarinaError("why"), 400, "BadRequestException"),
        (UnknownError("why"), 404, "NotFoundException"),
        (NothingBeforeError("why"), 409, "ConflictException"),
        (UnreadyError("why"), 409, "ConflictException"),
        (ConflictError("why"), 409, "ConflictException"),
        (UnconfirmedError("why"), 504, "GatewayTimeoutException"),
        (HTTPException(503, "why"), 503, "ServiceUnavailableException"),
    ],
)
def test_each_error_has_its_status_and_its_message(fault, code, kind):
    body = handled(fault)
    assert (body["code"], body["message"]) == (code, "why")
    assert body["type"] == kind
    assert "field" not in body


def test_an_error_without_a_message_is_no_error_of_ours():
    assert handled(UnknownError())["message"] == ""


def test_the_field_that_is_the_cause_is_named():
    fault = FieldError(409, "label was given before", "label")
    assert handled(fault) == {
        "code": 409,
        "type": "ConflictException",
        "message": "label was given before",
        "field": "label",
    }


@pytest.mark.parametrize("fault", [OperationalError("SELECT", {}, Exception()), PoolTimeout()])
def test_a_database_that_is_away_is_a_503(fault):
    assert handled(fault) == {
        "code": 503,
        "type": "ServiceUnavailableException",
        "message": "the database of the experiments does not answer: try again",
    }


@pytest.mark.parametrize(
    ("problem", "field"),
    [
        ({"type": "missing", "loc": ("body", "weights", "a", 0)}, "weights.a.0"),
        ({"type": "missing", "loc": ("body",)}, "body"),
        ({"type": "json_invalid", "loc": ("body", 7)}, "body"),
        ({"type": "missing", "loc": ("path", "name")}, "name"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_by_its_field(problem, field):
    fault = RequestValidationError([{**problem, "msg": "is wrong"}, {"type": "x", "loc": ("y",), "msg": "z"}])
    assert handled(fault) == {
        "code": 400,
        "type": "BadRequestException",
        "message": f"{field}: is wrong",
        "field": field,
    }


def test_the_type_is_the_status_in_words():
    assert json.loads(reply(404, "gone", more=1).body) == {
        "code": 404,
        "type": "NotFoundException",
        "message": "gone",
        "more": 1,
    }
