"""Isolation of the rows of a batch: what one row raises becomes the response of that row, and of no other."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from handlers.errors import BadRequest
from handlers.response import Response

Row = TypeVar("Row")

logger = logging.getLogger(__name__)
# After one of these CUDA answers nothing: TorchServe must end the worker, and start another one.
BROKEN_DEVICE = "CUDA error"


def ends_worker(exc: Exception) -> bool:
    """Return whether the worker is of no more use after this error, so that it must be raised to TorchServe.

    Errors of memory belong to their row like all others: what was too large for it is freed with it.
    """
    return BROKEN_DEVICE in str(exc)


def error_response(exc: Exception, request_id: str) -> Response:
    """Return the response of a row that raised: a client error as it is, everything else a logged 500 with the id.

    Raises `exc` again if it ends the worker.
    """
    if isinstance(exc, BadRequest):
        return Response.bad_request(exc)
    logger.error("failed request: %s", request_id, exc_info=exc)
    if ends_worker(exc):
        raise exc
    return Response.internal_error(f"an error of the server: its log has it under the request id {request_id}")


def each_or_error(compute: Callable[[list[Row]], Sequence[Any]], rows: Sequence[Row]) -> list[Any]:
    """Return what `compute` returns for the rows, one for each: together, or one by one where that fails.

    Instead of the output of a row that fails by itself there is its exception. Raises an error that ends the worker.
    """
    try:
        return _all_of(compute, rows)
    except Exception as exc:
        if ends_worker(exc):
            raise
        if len(rows) == 1:
            return [exc]
        logger.warning("a batch of %d failed: its rows are tried one by one", len(rows), exc_info=True)
    return [output for row in rows for output in each_or_error(compute, [row])]


def _all_of(compute: Callable[[list[Row]], Sequence[Any]], rows: Sequence[Row]) -> list[Any]:
    outputs = compute(list(rows))
    if len(outputs) != len(rows):
        raise ValueError(f"{len(outputs)} outputs of {len(rows)} rows")
    return outputs  # type: ignore[return-value]  # a tensor stays one: its rows are checked together
