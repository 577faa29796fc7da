"""Responses: JSON or a file of some content type, and the JSON schemas that describe them on the OpenAPI page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from handlers.errors import INTERNAL_ERROR, TOO_MANY_REQUESTS, BadRequest, error_body
from handlers.runtime.json_codec import dumps

MAX_BYTES = 6_000_000  # TorchServe kills the worker whose response is over its max_response_size
PREDICTION_HEADER = "x-prediction"
PUNCTUATION = '{}":,'  # JSON's own, which a header may hold: without anything to quote, quoting is fast
RETRY_AFTER_SECONDS = "1"  # a batch takes about as long
PHRASES = {200: "OK", 400: "Bad Request", 429: "Too Many Requests", 500: "Internal Server Error"}


@dataclass(frozen=True)
class Response:
    """One response, ready to be sent.

    `field` is the part of the request that was refused, if one was. `prediction_summary` is the value of the header
    x-prediction, by which experiments compare the predictions of two versions.
    """

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    field: str | None = None
    prediction_summary: str | None = None

    @classmethod
    def of(cls, content: "Mapping[str, Any] | Response", prediction_summary: str | None = None) -> "Response":
        """Return the JSON response of a mapping, Chinese as Chinese, or a response as it is.

        Raises ValueError if the mapping holds NaN or infinity.
        """
        if isinstance(content, Response):
            return content
        return cls(dumps(content), prediction_summary=prediction_summary)

    @classmethod
    def bad_request(cls, exc: BadRequest) -> "Response":
        """Return the 400, or 429, of a client error."""
        body = error_body(exc.status, exc.reason, exc.field)
        return cls(dumps(body), status=exc.status, field=exc.field)

    @classmethod
    def internal_error(cls, reason: str) -> "Response":
        """Return the 500 of an error that is the server's."""
        return cls(dumps(error_body(INTERNAL_ERROR, reason)), status=INTERNAL_ERROR)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response other than its content type."""
        retry = {"retry-after": RETRY_AFTER_SECONDS} if self.status == TOO_MANY_REQUESTS else {}
        summary = {} if self.prediction_summary is None else {PREDICTION_HEADER: self.prediction_summary}
        return retry | summary


def prediction_summary(content: Mapping[str, Any]) -> str | None:
    """Return the best class or the number, as JSON that is safe in a header; None for content that has neither.

    >>> prediction_summary({"predictions": [{"label": "7", "probability": 0.9}, {"label": "1", "probability": 0.1}]})
    '{"label":"7","probability":0.9}'
    """
    match content:
        case {"predictions": [best, *_]}:
            return quote(dumps(best), safe=PUNCTUATION)
        case {"prediction": number}:
            return quote(dumps({"prediction": number}), safe=PUNCTUATION)
    return None


def schema(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an object that must have all of these properties."""
    return {"type": "object", "required": list(properties), "properties": properties}


def array(items: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an array; `items` is the schema of its elements."""
    return {"type": "array", "items": items}


STRING: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}
INTEGER: dict[str, Any] = {"type": "integer"}
BOOLEAN: dict[str, Any] = {"type": "boolean"}
BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
BASE64: dict[str, Any] = {"type": "string", "contentEncoding": "base64"}


def upload(field: str, *kinds: str) -> dict[str, Any]:
    """Return the request schema of a file: the body, of one of these media types, a form part, or base64 in JSON."""
    return {
        **{kind: {"schema": BINARY} for kind in kinds},
        "multipart/form-data": {"schema": schema(**{field: BINARY})},
        "application/json": {"schema": schema(**{field: BASE64})},
    }


# Most requests are an image, or a text, which is the body itself or in JSON.
IMAGE: dict[str, Any] = upload("image", "image/*")
DOCUMENT: dict[str, Any] = upload("image", "image/*", "application/pdf")
TEXT: dict[str, Any] = {"application/json": {"schema": schema(text=STRING)}, "text/plain": {"schema": STRING}}
