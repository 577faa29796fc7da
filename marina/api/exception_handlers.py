"""Exception handlers: errors as JSON in TorchServe's shape, with the field that caused them.

{"code": 400, "type": "BadRequestException", "message": "...", "field": "weights"}
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from marina.errors import (
    ConflictError,
    ExperimentError,
    MarinaError,
    NotAppliedError,
    NothingToRollBackError,
    UnknownExperimentError,
    VariantNotReadyError,
)

NO_DATABASE = "the database of the experiments does not answer"


class FieldError(HTTPException):
    """An HTTP error that one field of the request caused."""

    def __init__(self, status: int, message: str, field: str) -> None:
        super().__init__(status, message)
        self.field = field


def error_response(status: int, message: str, **more: Any) -> JSONResponse:
    """Return an error of TorchServe's shape, with `more` members.

    >>> error_response(404, "cat is not served").body
    b'{"code":404,"type":"NotFoundException","message":"cat is not served"}'
    """
    kind = HTTPStatus(status).phrase.title().replace(" ", "") + "Exception"
    return JSONResponse({"code": status, "type": kind, "message": message, **more}, status)


async def http_error(_: Request, exc: Exception) -> JSONResponse:
    """Handle HTTPException."""
    assert isinstance(exc, HTTPException)
    return error_response(exc.status_code, exc.detail, **({"field": exc.field} if isinstance(exc, FieldError) else {}))


async def validation_error(_: Request, exc: Exception) -> JSONResponse:
    """Handle RequestValidationError: a field is missing, unknown or invalid. The response names the first one."""
    assert isinstance(exc, RequestValidationError)
    problem = exc.errors()[0]
    place, *names = problem["loc"]
    field = place if problem["type"] == "json_invalid" or not names else ".".join(map(str, names))
    return error_response(400, f"{field}: {problem['msg']}", field=field)


async def database_unavailable(_: Request, __: Exception) -> JSONResponse:
    """Handle SQLAlchemy's OperationalError and TimeoutError: the operation has not been done."""
    return error_response(503, f"{NO_DATABASE}: try again")


async def marina_error(_: Request, exc: Exception) -> JSONResponse:
    """Handle the errors that marina.experiments.manager raises."""
    return error_response(STATUSES[type(exc)], str(exc.args[0] if exc.args else exc))


STATUSES: dict[type[Exception], int] = {
    ExperimentError: 400,
    UnknownExperimentError: 404,
    NothingToRollBackError: 409,
    VariantNotReadyError: 409,
    ConflictError: 409,
    MarinaError: 400,
    NotAppliedError: 504,
}
HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[JSONResponse]]] = {
    HTTPException: http_error,
    RequestValidationError: validation_error,
    OperationalError: database_unavailable,
    PoolTimeoutError: database_unavailable,
    **dict.fromkeys(STATUSES, marina_error),
}
