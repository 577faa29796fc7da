"""JSON by orjson, several times as fast, where it is installed; by the standard library where not. Same answers."""

import json
from typing import Any

try:
    import orjson
except ImportError:  # a stock TorchServe need not have it
    orjson = None  # type: ignore[assignment]


def dumps(value: Any) -> bytes:
    """Chinese as Chinese; raises ValueError for NaN and infinity, which JSON does not have."""
    if orjson is not None:
        try:
            text = orjson.dumps(value)
        except TypeError:  # integers of more than 64 bits, say
            text = b"null"
        if b"null" not in text:  # what orjson makes of NaN, among other things: ask the stricter one
            return text
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def loads(text: str | bytes) -> Any:
    """Raises ValueError for what is not JSON."""
    if orjson is not None:
        try:
            return orjson.loads(text)
        except ValueError:  # stricter than the standard library, which knows NaN and says more of what is wrong
            return json.loads(text)
    return json.loads(text)
