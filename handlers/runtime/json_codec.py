"""JSON by orjson if it is installed, which is several times as fast, otherwise by the standard library.

Both give the same text and the same values. Texts of clients are bounded in depth before they are parsed: a parser, and
whatever walks through the values later, needs a stack frame for each level.
"""

import json
import re
from typing import Any

import numpy as np

try:
    import orjson
except ImportError:  # a stock TorchServe may not have it
    orjson = None  # type: ignore[assignment]

MAX_DEPTH = 64  # levels of arrays and objects; requests have about three
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
QUOTE = ord('"')
STEP = np.zeros(256, np.int8)  # that each byte takes into the depth
STEP[[*b"[{"]], STEP[[*b"]}"]] = 1, -1


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
    """Return the value of a JSON text.

    Raises ValueError if it is not JSON, is nested deeper than MAX_DEPTH, or has lone surrogates, which are no
    characters.
    """
    data = text.encode() if isinstance(text, str) else text
    if too_deep(data):
        raise ValueError(f"more than {MAX_DEPTH} arrays and objects within each other")
    if orjson is not None:
        try:
            return orjson.loads(data)
        except ValueError:  # the standard library accepts NaN, and its message is more precise
            pass
    value = json.loads(data)
    if SURROGATE.search(data):
        json.dumps(value, ensure_ascii=False).encode()  # raises UnicodeEncodeError for a lone one
    return value


def too_deep(data: bytes) -> bool:
    """Return whether arrays and objects are nested deeper than MAX_DEPTH; of a text that is no JSON it may be either.

    >>> too_deep(b"[" * 65 + b"]" * 65), too_deep(b'["' + b"[" * 65 + b'"]')
    (True, False)
    """
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    codes = np.frombuffer(data.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
    outside = ~np.logical_xor.accumulate(codes == QUOTE)  # of strings
    return bool((STEP[codes] * outside).cumsum(dtype=np.int32).max(initial=0) > MAX_DEPTH)
