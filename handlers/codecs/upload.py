"""Files that users send, in each of the three ways: as the body, as a form part, as base64 in JSON."""

import base64
import binascii
from typing import Any

from handlers.errors import BadRequest


def file_bytes(value: Any, field: str) -> bytes:
    """The bytes of a file that was sent raw, as a form part, or as base64 (a data: URL will do); raises BadRequest."""
    if isinstance(value, str):
        text = value.partition(",")[2] if value.startswith("data:") else value
        try:
            value = base64.b64decode("".join(text.split()), validate=True)
        except binascii.Error as fault:
            raise BadRequest(field, f"not valid base64: {fault}") from fault
    if not isinstance(value, bytes):
        raise BadRequest(
            field, f'send the {field} as the body, as a form part "{field}", or as {{"{field}": "<base64>"}}'
        )
    if not value:
        raise BadRequest(field, f"the {field} is empty")
    return value
