"""One request, as TorchServe hands it to a handler, with its many shapes made one."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from handlers.errors import BadRequest
from handlers.jsons import loads

# Where TorchServe puts a body that is not a form: "body" over HTTP, "data" in its clients' forms and over gRPC.
BODY = ("body", "data")

DIGITS = 19  # of a number that somebody may mean; Python refuses to read one of 5,000


def whole_number(text: str) -> int | None:
    """The number, without sign or exponent, that `text` is; None if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else None


@dataclass(frozen=True)
class Row:
    """`fields` are the form fields and the body; `headers` have lower-case names."""

    fields: Mapping[str, Any]
    headers: Mapping[str, Any]
    request_id: str

    @classmethod
    def of(cls, fields: Mapping[str, Any], context: Any, index: int) -> "Row":
        """Row number `index` of the batch that TorchServe hands over with `context`."""
        headers = {name.lower(): value for name, value in context.get_all_request_header(index).items()}
        return cls(fields, headers, context.get_request_id(index))

    @property
    def trace_id(self) -> str:
        """The id that the caller knows: Envoy's, or TorchServe's own where the request did not come through Envoy."""
        return str(self.headers.get("x-request-id") or self.request_id)

    @property
    def wants_explanation(self) -> bool:
        """Did it come by /explanations? TorchServe says so in a header of each row."""
        return self.headers.get("explain") == "True"

    def accepts(self, content_type: str) -> bool:
        """Does the caller ask for this content type before any other?"""
        return str(self.headers.get("accept", "")).split(",")[0].split(";")[0].strip().lower() == content_type

    @cached_property
    def body(self) -> Any:
        """The body: JSON that was decoded, or bytes, or text; None where there is none."""
        for name in BODY:
            if name in self.fields:
                return self._decoded(self.fields[name])
        return None

    def field(self, name: str) -> Any:
        """The form part or JSON member called `name`, else the whole body; None where there is none."""
        if name in self.fields:
            return self._decoded(self.fields[name])
        if isinstance(self.body, Mapping):
            return self.body.get(name)
        return self.body

    def option(self, name: str) -> str | None:
        """A query parameter, form field or member of a JSON body, as text; None where it was not given."""
        value = self.query.get(name, self.fields.get(name))
        if value is None and isinstance(self.body, Mapping):
            value = self.body.get(name)
        if isinstance(value, bytes | bytearray):
            return value.decode("utf-8", errors="replace")
        return None if value is None else str(value)

    def whole(self, name: str, least: int, most: int | None = None) -> int | None:
        """The option as a whole number; None where it was not given. Raises BadRequest unless it is from `least` to
        `most`."""
        text = self.option(name)
        if text is None:
            return None
        number = whole_number(text)
        if number is None or number < least or (most is not None and number > most):
            span = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise BadRequest(name, f"not a whole number {span}")
        return number

    def number(self, name: str, least: float, most: float) -> float | None:
        """The option as a number; None where it was not given. Raises BadRequest unless it is from `least` to `most`,
        as NaN is not."""
        text = self.option(name)
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            raise BadRequest(name, f"not a number from {least:g} to {most:g}")
        return number

    def flag(self, name: str) -> bool:
        """The option as true (or 1) or false (or 0), which it is where it was not given. Raises BadRequest for
        anything else."""
        text = (self.option(name) or "false").lower()
        if text not in ("true", "false", "1", "0"):
            raise BadRequest(name, "neither true nor false")
        return text in ("true", "1")

    @cached_property
    def query(self) -> dict[str, str]:
        """The query parameters, which TorchServe drops: Envoy repeats them in a header (serving/request.lua)."""
        return dict(parse_qsl(str(self.headers.get("x-request-query", ""))))

    def _decoded(self, value: Any) -> Any:
        """JSON as Python, all else as it is. TorchServe passes malformed or unlabelled JSON on as bytes or text."""
        if isinstance(value, dict | list):
            return value
        if isinstance(value, bytearray):
            value = bytes(value)
        kind = str(self.headers.get("content-type", "")).split(";")[0].strip().lower()
        if not isinstance(value, str | bytes) or kind.startswith(("text/", "image/")):
            return value
        start = value[:1] if isinstance(value, str) else value[:1].decode("latin-1")
        if kind != "application/json" and start not in ("{", "["):
            return value
        try:
            return loads(value)
        except ValueError as fault:
            if kind != "application/json" and start == "[":  # a text may begin with a bracket
                return value
            raise BadRequest("body", f"not valid JSON: {fault}") from fault
