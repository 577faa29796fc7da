"""Forms of HTML, multipart/form-data and urlencoded, parsed by python-multipart under limits.

Envoy hides the content type of a form from TorchServe, whose own parser has no limits (CVE-2024-29025); see
marina/serving/envoy/content_types.py.
"""

import logging
import re
from urllib.parse import unquote_to_bytes

from handlers.errors import BadRequest

MULTIPART, URLENCODED = "multipart/form-data", "application/x-www-form-urlencoded"
MAX_PARTS = 32  # of a form; requests have two or three
MAX_NAME = 128  # bytes
MAX_FIELD = 1 << 20  # bytes of a part without a file name; a file may be as long as the request
MAX_HEADER, MAX_HEADERS = 1024, 8  # bytes of a line of a part's head, and number of lines
# curl declares every body of -d and --data-binary a form; one that does not begin like this is a file or JSON.
BEGINNING = re.compile(rb"[\w%.+*-]+=|$", re.ASCII)
TOO_MANY = f"a form of more than {MAX_PARTS} fields"
NOT_ENCODED = re.compile(rb"%(?![0-9a-fA-F]{2})")

Fields = dict[str, bytes]


def parse_form(body: bytes, content_type: str) -> Fields | None:
    """Return the fields of a form by name, the last of each name; None for a body that is no form.

    Raises BadRequest for a form that is malformed or over a limit, with the name of the field where there is one.

    >>> parse_form(b"text=hi+there&top=3", "application/x-www-form-urlencoded")
    {'text': b'hi there', 'top': b'3'}
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind != MULTIPART and not (kind == URLENCODED and BEGINNING.match(body, 0, MAX_NAME + 1)):
        return None
    try:
        import python_multipart
    except ModuleNotFoundError as exc:
        reason = "this server reads no forms, it has no python-multipart: send the file itself as the body, or JSON"
        raise BadRequest("body", reason) from exc
    logging.getLogger(python_multipart.__name__).setLevel(logging.ERROR)  # it warns of each malformed form
    try:
        return _multipart(body, content_type) if kind == MULTIPART else _urlencoded(body)
    except BadRequest:
        raise
    except ValueError as exc:
        raise BadRequest("body", f"malformed form: {exc}") from exc


class _Parts:
    """The fields of a form, collected from the callbacks of a parser: begin, name, data, end."""

    def __init__(self) -> None:
        self.fields: Fields = {}
        self.count = 0
        self.begin()

    def begin(self) -> None:
        """Begin a part."""
        self.raw_name, self.chunks, self.size, self.is_file = b"", list[bytes](), 0, False

    def add_name(self, data: bytes, start: int, end: int) -> None:
        """Add a piece of the part's name."""
        self.raw_name += data[start : min(end, start + MAX_NAME + 1)]
        self.check_name()

    def check_name(self) -> None:
        """Count the part, and raise BadRequest if its name is too long."""
        if len(self.raw_name) > MAX_NAME:
            raise BadRequest("body", f"a form field's name is longer than {MAX_NAME} bytes")

    @property
    def name(self) -> str:
        """Name of the part; a byte that is no UTF-8 is replaced."""
        return self.raw_name.decode("utf-8", errors="replace")

    def add_data(self, data: bytes, start: int, end: int) -> None:
        """Add a piece of the part's content."""
        self.size += end - start
        if self.size > MAX_FIELD and not self.is_file:
            raise BadRequest(self.name, f"longer than {MAX_FIELD} bytes: send it as a file, with a file name")
        self.chunks.append(data[start:end])

    def end(self) -> bytes:
        """End a part and return its content. Raises BadRequest if it has no name, or is one too many."""
        self.count += 1
        if self.count > MAX_PARTS:
            raise BadRequest("body", TOO_MANY)
        if not self.raw_name:
            raise BadRequest("body", "a form field without a name")
        return b"".join(self.chunks)


def _urlencoded(body: bytes) -> Fields:
    from python_multipart.multipart import QuerystringParser

    if body.count(b"&") >= 2 * MAX_PARTS:  # the parser takes a step of Python for each
        raise BadRequest("body", TOO_MANY)
    parts = _Parts()

    def end() -> None:
        content, parts.raw_name = parts.end(), _unquoted(parts.raw_name, "body")
        parts.fields[parts.name] = _unquoted(content, parts.name)

    callbacks = {
        "on_field_start": parts.begin,
        "on_field_name": parts.add_name,
        "on_field_data": parts.add_data,
        "on_field_end": end,
    }
    parser = QuerystringParser(callbacks)  # type: ignore[arg-type]
    parser.write(body)
    parser.finalize()
    return parts.fields


def _unquoted(text: bytes, field: str) -> bytes:
    if NOT_ENCODED.search(text):
        raise BadRequest(field, "a % that is not followed by two hexadecimal digits: % itself is %25")
    return unquote_to_bytes(text.replace(b"+", b" "))


def _multipart(body: bytes, content_type: str) -> Fields:
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise BadRequest("content-type", "multipart/form-data without a boundary")
    parts, head = _Parts(), [b"", b""]  # name and value of a line of the part's head
    ended: list[bool] = []

    def add_header_name(data: bytes, start: int, end: int) -> None:
        head[0] += data[start:end]

    def add_header_value(data: bytes, start: int, end: int) -> None:
        head[1] += data[start:end]

    def end_header() -> None:
        if head[0].lower() == b"content-disposition":
            options = parse_options_header(head[1])[1]
            parts.raw_name, parts.is_file = options.get(b"name", b""), b"filename" in options
            parts.check_name()
        head[:] = [b"", b""]

    def end() -> None:
        content = parts.end()
        parts.fields[parts.name] = content

    callbacks = {
        "on_part_begin": parts.begin,
        "on_header_field": add_header_name,
        "on_header_value": add_header_value,
        "on_header_end": end_header,
        "on_part_data": parts.add_data,
        "on_part_end": end,
        "on_end": lambda: ended.append(True),
    }
    parser = MultipartParser(
        boundary,
        callbacks,  # type: ignore[arg-type]
        max_header_count=MAX_HEADERS,
        max_header_size=MAX_HEADER,
    )
    parser.write(body)
    parser.finalize()
    if not ended:
        raise BadRequest("body", "malformed form: it ends before its last boundary")
    return parts.fields
