"""JSON by orjson if it is installed, which is several times as fast, otherwise by the standard library.

Both give the same text and the same values.
"""

import json
from typing import Any

try:
    import orjson
except ImportError:  # a stock TorchServe may not have it
    orjson = None  # type: ignore[assignment]


def dumps(value: Any) -> bytes:
    """Return compact JSON, Chinese as Chinese; raises ValueError for NaN and infinity, which JSON does not have.

    >>> dumps({"label": "7", "top": [1, 2]})
    b'{"label":"7","top":[1,2]}'
    """
    if orjson is not None:
        try:
            text = orjson.dumps(value)
        except TypeError:  # integers of more than 64 bits, say
            text = b"null"
        if b"null" not in text:  # orjson writes NaN as null: leave the decision to the strict standard library
            return text
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text; raises ValueError if it is not JSON."""
    if orjson is not None:
        try:
            return orjson.loads(text)
        except ValueError:  # the standard library accepts NaN, and its message is more precise
            return json.loads(text)
    return json.loads(text)
