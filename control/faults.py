"""Errors in TorchServe's shape, with the field that is at fault."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy import exc
from starlette.exceptions import HTTPException

from routing.experiments import ExperimentError
from routing.history import ConflictError, NothingBeforeError
from routing.pilot import UnconfirmedError, UnknownError, UnreadyError
from serving.errors import MarinaError


class FieldError(HTTPException):
    """An error that one field of the request is the cause of."""

    def __init__(self, status: int, message: str, field: str) -> None:
        super().__init__(status, message)
        self.field = field


def reply(status: int, message: str, **more: Any) -> JSONResponse:
    kind = HTTPStatus(status).phrase.title().replace(" ", "") + "Exception"
    return JSONResponse({"code": status, "type": kind, "message": message, **more}, status)


async def refuse(_: Request, fault: Exception) -> JSONResponse:
    """For HTTPException."""
    assert isinstance(fault, HTTPException)
    return reply(fault.status_code, fault.detail, **({"field": fault.field} if isinstance(fault, FieldError) else {}))


async def invalid(_: Request, fault: Exception) -> JSONResponse:
    """For RequestValidationError: a request that does not have the right fields."""
    assert isinstance(fault, RequestValidationError)
    problem = fault.errors()[0]
    place, *names = problem["loc"]
    field = place if problem["type"] == "json_invalid" or not names else ".".join(map(str, names))
    return reply(400, f"{field}: {problem['msg']}", field=field)


async def unavailable(_: Request, __: Exception) -> JSONResponse:
    """For SQLAlchemy's OperationalError and TimeoutError: what was asked for has not been done."""
    return reply(503, "the database of the experiments does not answer: try again")


async def experimental(_: Request, fault: Exception) -> JSONResponse:
    """For what routing.pilot raises."""
    return reply(STATUSES[type(fault)], str(fault.args[0] if fault.args else fault))


STATUSES: dict[type[Exception], int] = {
    ExperimentError: 400,
    UnknownError: 404,
    NothingBeforeError: 409,
    UnreadyError: 409,
    ConflictError: 409,
    MarinaError: 400,
    UnconfirmedError: 504,
}
HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[JSONResponse]]] = {
    HTTPException: refuse,
    RequestValidationError: invalid,
    exc.OperationalError: unavailable,
    exc.TimeoutError: unavailable,
    **dict.fromkeys(STATUSES, experimental),
}
