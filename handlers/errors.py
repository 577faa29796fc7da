"""Errors of a request, and the body with which a client receives them::

    BadRequest           400  the client can correct it: the body names the field and gives the reason
      TooManyRequests    429  nothing is wrong with the request itself: the client can send it again, after Retry-After
    everything else      500  a bug or a broken output: the client can only report the request id

Only these two are raised by handlers on purpose; `handlers/isolation.py` turns each error into a response.
"""

from typing import Any, ClassVar

BAD_REQUEST, TOO_MANY_REQUESTS, INTERNAL_ERROR = 400, 429, 500
TYPES = {BAD_REQUEST: "BadRequest", TOO_MANY_REQUESTS: "TooManyRequests", INTERNAL_ERROR: "InternalServerError"}


class BadRequest(ValueError):  # noqa: N818 - the name of the HTTP status it becomes
    """A client error, returned as HTTP 400. `field` is the wrong part of the request, `reason` explains the refusal.

    >>> error = BadRequest("top", "not a whole number of at least 1")
    >>> error.field, str(error)
    ('top', 'not a whole number of at least 1')
    """

    status: ClassVar[int] = BAD_REQUEST

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason

    def of_field(self, field: str) -> "BadRequest":
        """Return the same error of another field: a codec names "image" what the request calls "style"."""
        return type(self)(field, self.reason)


class TooManyRequests(BadRequest):
    """A request that is refused because of the others beside it, returned as HTTP 429 with Retry-After."""

    status = TOO_MANY_REQUESTS


def error_body(status: int, message: str, field: str | None = None) -> dict[str, Any]:
    """Return the JSON of an error: TorchServe's own shape, plus the field.

    The status is in the body too: over gRPC the body is all that arrives. Lone surrogates, which UTF-8 does not have,
    become question marks: a message may quote the request.

    >>> error_body(400, "not valid base64", "image")
    {'code': 400, 'type': 'BadRequest', 'message': 'not valid base64', 'field': 'image'}
    """
    body: dict[str, Any] = {"code": status, "type": TYPES[status], "message": _encodable(message)}
    if field is not None:
        body["field"] = _encodable(field)
    return body


def _encodable(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8")
