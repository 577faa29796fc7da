"""Errors of a request, and the body with which a client receives them.

BadRequest            400  the client can correct it: the body names the field and gives the reason
everything else       500  a bug or a broken output: the client can only try again

Only a BadRequest is raised by handlers on purpose; `handlers/base.py` turns it into a response.
"""

from typing import Any

BAD_REQUEST, INTERNAL_ERROR = 400, 500
TYPES = {BAD_REQUEST: "BadRequest", INTERNAL_ERROR: "InternalServerError"}


class BadRequest(ValueError):  # noqa: N818 - the name of the HTTP status it becomes
    """A client error, returned as HTTP 400. `field` is the wrong part of the request, `reason` explains the refusal.

    >>> error = BadRequest("top", "not a whole number of at least 1")
    >>> error.field, str(error)
    ('top', 'not a whole number of at least 1')
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def error_body(status: int, message: str, field: str | None = None) -> dict[str, Any]:
    """Return the JSON of an error: TorchServe's own shape, plus the field.

    The status is in the body too: over gRPC the body is all that arrives.

    >>> error_body(400, "not valid base64", "image")
    {'code': 400, 'type': 'BadRequest', 'message': 'not valid base64', 'field': 'image'}
    """
    body: dict[str, Any] = {"code": status, "type": TYPES[status], "message": message}
    if field is not None:
        body["field"] = field
    return body
