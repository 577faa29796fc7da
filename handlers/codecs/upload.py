"""Uploaded files, in each of the three ways: as the body, as a form part, as base64 in JSON."""

import base64
from typing import Any

from handlers.errors import BadRequest


def file_bytes(value: Any, field: str) -> bytes:
    """Return the bytes of an uploaded file.

    `value` is bytes (a raw body or a form part) or base64 as text, with or without the head of a data: URL. `field`
    names the file in errors. Raises BadRequest for anything else, for base64 that is not valid, and for an empty file.

    >>> file_bytes("data:text/plain;base64,aGk=", "image")
    b'hi'
    """
    if isinstance(value, str):
        text = value.partition(",")[2] if value.startswith("data:") else value
        try:
            value = base64.b64decode("".join(text.split()), validate=True)
        except ValueError as exc:  # binascii.Error is one; there is another for a letter that is not of ASCII
            raise BadRequest(field, f"not valid base64: {exc}") from exc
    if not isinstance(value, bytes):
        raise BadRequest(
            field, f'send the {field} as the body, as a form part "{field}", or as {{"{field}": "<base64>"}}'
        )
    if not value:
        raise BadRequest(field, f"the {field} is empty")
    return value
