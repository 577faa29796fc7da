"""A request as TorchServe passes it to a handler, with its many shapes made uniform."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from handlers.errors import BadRequest
from handlers.forms import parse_form
from handlers.runtime.json_codec import loads

# Where TorchServe puts a body that is not a form: "body" over HTTP, "data" in its clients' forms and over gRPC.
BODY = ("body", "data")
REQUEST_ID_HEADER = "x-request-id"
QUERY_HEADER = "x-request-query"
EXPLAIN_HEADER = "explain"
CONTENT_TYPE_HEADER = "content-type"
# Envoy declares every body application/octet-stream, so that TorchServe parses none, and repeats what the client sent.
SENT_CONTENT_TYPE_HEADER = "x-marina-content-type"

MAX_DIGITS = 19  # of a number that anybody may mean; Python refuses to parse one of 5,000


def parse_whole_number(text: str) -> int | None:
    """Return the number that `text` is, if it has neither sign nor exponent; otherwise None.

    >>> parse_whole_number("007"), parse_whole_number("-1")
    (7, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


@dataclass(frozen=True)
class Request:
    """One request of a batch: `fields` are what TorchServe passes, form fields or the body; `headers` have lower-case
    names.

    >>> request = Request({"body": b'{"text": "hi", "top": 3}'}, {"content-type": "application/json"}, "id-0")
    >>> request.field("text"), request.integer("top", 1)
    ('hi', 3)
    """

    fields: Mapping[str, Any]
    headers: Mapping[str, Any]
    request_id: str

    @classmethod
    def from_batch(cls, fields: Mapping[str, Any], context: Any, index: int) -> "Request":
        """Return the request number `index` of the batch that TorchServe passes with `context`."""
        headers = {name.lower(): value for name, value in context.get_all_request_header(index).items()}
        return cls(fields, headers, context.get_request_id(index))

    @property
    def trace_id(self) -> str:
        """The id that the client has: Envoy's, or TorchServe's own if the request did not come through Envoy."""
        return str(self.headers.get(REQUEST_ID_HEADER) or self.request_id)

    @property
    def wants_explanation(self) -> bool:
        """True for a request to /explanations, which TorchServe marks with a header."""
        return self.headers.get(EXPLAIN_HEADER) == "True"

    def accepts(self, content_type: str) -> bool:
        """Return whether the client prefers this content type to all others."""
        return str(self.headers.get("accept", "")).split(",")[0].split(";")[0].strip().lower() == content_type

    @cached_property
    def content_type(self) -> str:
        """The content type that the client sent, in lower case and without parameters; empty if there is none."""
        return self._full_content_type.partition(";")[0].strip().lower()

    @property
    def _full_content_type(self) -> str:
        sent = self.headers.get(SENT_CONTENT_TYPE_HEADER) or self.headers.get(CONTENT_TYPE_HEADER)
        return str(sent or "")

    @cached_property
    def parts(self) -> Mapping[str, Any]:
        """The form's fields, or the body by the name "body". Raises BadRequest for a malformed form.

        A form that Envoy did not hide was parsed by TorchServe: its part "body" is no form again.
        """
        body = next((self.fields[name] for name in BODY if name in self.fields), None)
        if SENT_CONTENT_TYPE_HEADER not in self.headers or not isinstance(body, bytes | bytearray):
            return self.fields
        form = parse_form(bytes(body), self._full_content_type)
        return self.fields if form is None else form

    @cached_property
    def body(self) -> Any:
        """The body: decoded JSON, bytes or text; None if there is none."""
        for name in BODY:
            if name in self.parts:
                return self._decoded(self.parts[name])
        return None

    def field(self, name: str) -> Any:
        """Return the form part or JSON member called `name`, otherwise the whole body; None if there is none."""
        if name in self.parts:
            return self._decoded(self.parts[name])
        if isinstance(self.body, Mapping):
            return self.body.get(name)
        return self.body

    def option(self, name: str) -> str | None:
        """Return a query parameter, form field or member of a JSON body, as text; None if it is not given.

        Raises BadRequest for an array or an object.
        """
        value = self.query.get(name, self.parts.get(name))
        if value is None and isinstance(self.body, Mapping):
            value = self.body.get(name)
        if isinstance(value, bytes | bytearray):
            return value.decode("utf-8", errors="replace")
        if isinstance(value, Mapping | list):
            raise BadRequest(name, "neither a text nor a number, but an array or an object")
        return None if value is None else str(value)

    def integer(self, name: str, minimum: int, maximum: int | None = None) -> int | None:
        """Return the option as a whole number; None if it is not given.

        Raises BadRequest unless it is between `minimum` and `maximum`.
        """
        text = self.option(name)
        if text is None:
            return None
        number = parse_whole_number(text)
        if number is None or number < minimum or (maximum is not None and number > maximum):
            bounds = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            raise BadRequest(name, f"not a whole number {bounds}")
        return number

    def number(self, name: str, minimum: float, maximum: float) -> float | None:
        """Return the option as a number; None if it is not given.

        Raises BadRequest unless it is between `minimum` and `maximum`, which NaN is not.
        """
        text = self.option(name)
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not minimum <= number <= maximum:
            raise BadRequest(name, f"not a number from {minimum:g} to {maximum:g}")
        return number

    def flag(self, name: str) -> bool:
        """Return the option as True (true or 1) or False (false or 0); False if it is not given.

        Raises BadRequest for every other value.
        """
        text = (self.option(name) or "false").lower()
        if text not in ("true", "false", "1", "0"):
            raise BadRequest(name, "neither true nor false")
        return text in ("true", "1")

    @cached_property
    def query(self) -> dict[str, str]:
        """The query parameters. TorchServe drops them: Envoy repeats them in a header (its request.lua)."""
        return dict(parse_qsl(str(self.headers.get(QUERY_HEADER, ""))))

    def _decoded(self, value: Any) -> Any:
        """Return JSON as Python objects, and everything else as it is.

        TorchServe passes malformed or unlabelled JSON on as bytes or text.
        """
        if isinstance(value, dict | list):
            return value
        if isinstance(value, bytearray):
            value = bytes(value)
        kind = self.content_type
        if not isinstance(value, str | bytes) or kind.startswith(("text/", "image/")):
            return value
        start = value[:1] if isinstance(value, str) else value[:1].decode("latin-1")
        if kind != "application/json" and start not in ("{", "["):
            return value
        try:
            return loads(value)
        except ValueError as exc:
            if kind != "application/json" and start == "[":  # a text may begin with a bracket
                return value
            raise BadRequest("body", f"not valid JSON: {exc}") from exc
