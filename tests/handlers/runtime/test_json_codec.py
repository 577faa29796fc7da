"""JSON of clients: bounded in depth, without lone surrogates, the same with and without orjson."""

import json

import pytest

from handlers.runtime import json_codec
from handlers.runtime.json_codec import MAX_DEPTH, loads


@pytest.fixture(params=["orjson", "the standard library"])
def codec(request, monkeypatch):
    if request.param != "orjson":
        monkeypatch.setattr(json_codec, "orjson", None)


def nested(depth: int, left: bytes = b"[", right: bytes = b"]") -> bytes:
    return left * depth + b"1" + right * depth


@pytest.mark.parametrize(
    "text", [nested(1_100), nested(100_000), nested(MAX_DEPTH + 1), nested(65, b'{"a":', b"}"), b"[" * 1_100]
)
def test_deep_json_is_refused_before_it_is_parsed(codec, text):
    with pytest.raises(ValueError, match="more than 64 arrays and objects"):
        loads(text)
    with pytest.raises(ValueError, match="more than 64 arrays and objects"):
        loads(text.decode())


@pytest.mark.parametrize(
    "text",
    [
        nested(MAX_DEPTH),
        b'["' + b"[" * 99 + b'"]',
        b'["\\"' + b"[" * 99 + b'\\\\"]',
        b'{"\\\\": "' + b"{" * 99 + b'"}',
        b"[" + b"[]," * 1_000 + b"[]]",
    ],
)
def test_brackets_in_texts_and_side_by_side_are_not_deep(codec, text):
    assert loads(text) == json.loads(text)


def test_depth_is_counted_after_texts_with_quotes(codec):
    with pytest.raises(ValueError, match="more than 64"):
        loads(b'["\\\\", "\\"]", ' + nested(MAX_DEPTH) + b"]")


@pytest.mark.parametrize("text", [r'{"\ud800": 1}', r'["\udfff"]', r'{"a": ["\uD83D"]}', '"\ud800"'])
def test_a_lone_surrogate_is_no_character(codec, text):
    with pytest.raises(ValueError, match="surrogate"):
        loads(text)


def test_a_pair_of_surrogates_is_one(codec):
    assert loads(rb'["\ud83d\ude00"]') == ["😀"]
