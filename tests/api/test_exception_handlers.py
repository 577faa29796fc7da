"""Errors in TorchServe's shape."""

import asyncio
import json

import pytest
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from marina.api.exception_handlers import HANDLERS, FieldError, error_response
from marina.errors import (
    ConflictError,
    ExperimentError,
    MarinaError,
    NotAppliedError,
    NothingToRollBackError,
    UnknownExperimentError,
    VariantNotReadyError,
)


def handled(error: Exception) -> dict:
    """Return the body of the response; check that its code is the status."""
    response = asyncio.run(HANDLERS[type(error) if type(error) is not FieldError else HTTPException](None, error))
    body = json.loads(response.body)
    assert response.status_code == body["code"]
    assert set(body) <= {"code", "type", "message", "field"}
    return body


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (ExperimentError("why"), 400, "BadRequestException"),
        (MarinaError("why"), 400, "BadRequestException"),
        (UnknownExperimentError("why"), 404, "NotFoundException"),
        (NothingToRollBackError("why"), 409, "ConflictException"),
        (VariantNotReadyError("why"), 409, "ConflictException"),
        (ConflictError("why"), 409, "ConflictException"),
        (NotAppliedError("why"), 504, "GatewayTimeoutException"),
        (HTTPException(503, "why"), 503, "ServiceUnavailableException"),
    ],
)
def test_each_error_has_its_status_and_its_message(error, code, kind):
    body = handled(error)
    assert (body["code"], body["message"]) == (code, "why")
    assert body["type"] == kind
    assert "field" not in body


def test_an_error_without_a_message_has_an_empty_one():
    assert handled(UnknownExperimentError())["message"] == ""


def test_the_field_that_is_the_cause_is_named():
    error = FieldError(409, "label was given before", "label")
    assert handled(error) == {
        "code": 409,
        "type": "ConflictException",
        "message": "label was given before",
        "field": "label",
    }


@pytest.mark.parametrize("error", [OperationalError("SELECT", {}, Exception()), PoolTimeout()])
def test_an_unavailable_database_is_a_503(error):
    assert handled(error) == {
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
def test_an_invalid_request_is_refused_by_its_field(problem, field):
    error = RequestValidationError([{**problem, "msg": "is wrong"}, {"type": "x", "loc": ("y",), "msg": "z"}])
    assert handled(error) == {
        "code": 400,
        "type": "BadRequestException",
        "message": f"{field}: is wrong",
        "field": field,
    }


def test_the_type_is_the_status_in_words():
    assert json.loads(error_response(404, "gone", more=1).body) == {
        "code": 404,
        "type": "NotFoundException",
        "message": "gone",
        "more": 1,
    }
