"""What goes back: JSON, or a file of some content type; and the shapes of the JSON, for the OpenAPI page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from handlers.errors import BadRequest
from handlers.jsons import dumps

MAX_BYTES = 6_000_000  # TorchServe kills the worker whose reply is over its max_response_size
PUNCTUATION = '{}":,'  # JSON's own, which a header can bear: where there is nothing to quote, quoting is quick
PHRASES = {200: "OK", 400: "Bad Request", 500: "Internal Server Error"}


@dataclass(frozen=True)
class Answer:
    """One reply, ready to be sent. `field` is the faulty part of the request, if it was refused for one; `gist` is what
    the header x-prediction says of the reply: by it experiments compare what two versions predicted."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    field: str | None = None
    gist: str | None = None

    @classmethod
    def of(cls, reply: "Mapping[str, Any] | Answer", gist: str | None = None) -> "Answer":
        """JSON for a mapping, Chinese as Chinese; raises ValueError if it holds NaN or infinity."""
        if isinstance(reply, Answer):
            return reply
        return cls(dumps(reply), gist=gist)

    @classmethod
    def refusal(cls, fault: BadRequest) -> "Answer":
        return cls._error(400, "BadRequest", fault.why, fault.field)

    @classmethod
    def failure(cls, why: str) -> "Answer":
        return cls._error(500, "InternalServerError", why)

    @classmethod
    def _error(cls, status: int, kind: str, message: str, field: str | None = None) -> "Answer":
        # The status is in the body too: over gRPC the body is all that arrives.
        error: dict[str, Any] = {"code": status, "type": kind, "message": message}
        if field is not None:
            error["field"] = field
        return cls(dumps(error), status=status, field=field)


def gist(reply: Mapping[str, Any]) -> str | None:
    """The best class or the number, as JSON that is safe in a header; None for replies that have neither."""
    match reply:
        case {"predictions": [best, *_]}:
            return quote(dumps(best), safe=PUNCTUATION)
        case {"prediction": number}:
            return quote(dumps({"prediction": number}), safe=PUNCTUATION)
    return None


def schema(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of an object in which all of these properties are there."""
    return {"type": "object", "required": list(properties), "properties": properties}


def array(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


STRING: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}
INTEGER: dict[str, Any] = {"type": "integer"}
BOOLEAN: dict[str, Any] = {"type": "boolean"}
BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
BASE64: dict[str, Any] = {"type": "string", "contentEncoding": "base64"}


def upload(field: str, *kinds: str) -> dict[str, Any]:
    """A request that is a file of one of these media types, a form part, or base64 in JSON."""
    return {
        **{kind: {"schema": BINARY} for kind in kinds},
        "multipart/form-data": {"schema": schema(**{field: BINARY})},
        "application/json": {"schema": schema(**{field: BASE64})},
    }


# What most requests are: a picture; a text, as it is or in JSON.
IMAGE: dict[str, Any] = upload("image", "image/*")
TEXT: dict[str, Any] = {"application/json": {"schema": schema(text=STRING)}, "text/plain": {"schema": STRING}}
