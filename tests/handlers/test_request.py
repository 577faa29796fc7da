"""Requests in each of the shapes in which TorchServe passes them on."""

from types import SimpleNamespace

import pytest

from handlers.errors import BadRequest
from handlers.request import Request, parse_whole_number

JSON = {"content-type": "application/json"}


def request(fields=None, **headers) -> Request:
    return Request(fields or {}, {name.replace("_", "-"): value for name, value in headers.items()}, "from-torchserve")


def query_request(query: str, body=None) -> Request:
    return request({} if body is None else {"body": body}, x_request_query=query)


def test_a_request_has_its_own_headers_and_id():
    headers = [{"Accept": "image/png"}, {"X-Request-ID": "Mine", "Content-Type": "text/plain"}]
    context = SimpleNamespace(get_all_request_header=headers.__getitem__, get_request_id=["a", "b"].__getitem__)
    one = Request.from_batch({"body": b"x"}, context, 1)
    assert one == Request({"body": b"x"}, {"x-request-id": "Mine", "content-type": "text/plain"}, "b")


def test_the_trace_id_is_the_clients_if_there_is_one():
    assert request(x_request_id="from-envoy").trace_id == "from-envoy"
    assert request(x_request_id="").trace_id == "from-torchserve"
    assert request().trace_id == "from-torchserve"


@pytest.mark.parametrize(("header", "expected"), [("True", True), ("False", False), ("true", False), (None, False)])
def test_torchserves_header_marks_explanations(header, expected):
    assert request(**({} if header is None else {"explain": header})).wants_explanation is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("image/png", True),
        ("IMAGE/PNG;q=0.9, application/json", True),
        (" image/png , */*", True),
        ("application/json, image/png", False),
        ("*/*", False),
        (None, False),
    ],
)
def test_only_the_first_accepted_type_counts(accept, expected):
    one = request() if accept is None else request(accept=accept)
    assert one.accepts("image/png") is expected
    assert not request().accepts("XXXX")


# name: (value, content type, the body that a handler sees)
BODIES = {
    "bytes": (b"\x89PNG", None, b"\x89PNG"),
    "bytearray": (bytearray(b"\x89PNG"), None, b"\x89PNG"),
    "dict": ({"a": 1}, None, {"a": 1}),
    "list": ([1], "application/json", [1]),
    "number": (7, "application/json", 7),
    "JSON": (b'{"a": 1}', "application/json", {"a": 1}),
    "JSON as text": ('{"a": 1}', "application/json", {"a": 1}),
    "JSON in a bytearray": (bytearray(b'{"a": 1}'), "application/json", {"a": 1}),
    "JSON with a charset": (b"7", "Application/JSON ; charset=utf-8", 7),
    "an object without a type": (b'{"a": 1}', None, {"a": 1}),
    "an object without a type, as text": ('{"a": 1}', None, {"a": 1}),
    "an array without a type": (b"[1]", None, [1]),
    "an array without a type, as text": ("[1]", None, [1]),
    "a number without a type": (b"7", None, b"7"),
    "text in brackets": (b"[sic] yes", None, b"[sic] yes"),
    "text in brackets, as text": ("[sic] yes", "application/octet-stream", "[sic] yes"),
    "JSON that is labelled as text": ('{"a": 1}', "text/plain; charset=utf-8", '{"a": 1}'),
    "an image that begins with a brace": (b"{\x00", "image/png", b"{\x00"),
    "empty": (b"", None, b""),
    "an empty text": ("", None, ""),
    "no UTF-8": (b"\xff\xfe", None, b"\xff\xfe"),
}


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("name", ["body", "data"])
def test_a_body_is_decoded_if_it_is_json(name, case):
    value, content_type, expected = BODIES[case]
    one = request({name: value}) if content_type is None else request({name: value}, content_type=content_type)
    assert one.body == expected
    assert type(one.body) is type(expected)
    assert one.field("image") == (expected.get("image") if isinstance(expected, dict) else expected)


@pytest.mark.parametrize(
    ("value", "content_type"), [(b"{'a': 1}", ""), ("{", ""), (b"[1", "application/json"), (b"", "application/json")]
)
def test_broken_json_is_the_clients_error(value, content_type):
    with pytest.raises(BadRequest, match=r"^not valid JSON: ") as caught:
        assert request({"body": value}, content_type=content_type).body
    assert caught.value.field == "body"
    assert caught.value.__cause__ is not None
    assert str(caught.value.__cause__) in caught.value.reason


def test_a_field_is_a_form_part_or_a_member_or_the_whole_body():
    assert request({"image": bytearray(b"part"), "body": b"whole"}).field("image") == b"part"
    assert request({"features": '{"RM": 6}'}).field("features") == {"RM": 6}
    assert request({"body": {"image": "member"}}).field("image") == "member"
    assert request({"body": {"other": 1}}).field("image") is None
    assert request({"body": b"whole"}).field("image") == b"whole"
    assert request({}).field("image") is None


def test_an_option_is_in_the_query_or_a_form_field_or_a_member():
    one = request({"top": b"form", "body": {"top": "member"}}, x_request_query="top=query&empty=&a+b=%E5%A5%BD")
    assert one.option("top") == "query"
    assert one.option("a b") == "好"
    assert request({"top": b"form", "body": {"top": "member"}}).option("top") == "form"
    assert request({"top": bytearray("好".encode()), "body": {}}).option("top") == "好"
    assert request({"top": b"\xff1"}).option("top") == "\ufffd1"
    assert request({"body": {"top": 3}}).option("top") == "3"
    assert request({"body": {"top": 0}}).option("top") == "0"
    assert request({"body": {"top": None}}).option("top") is None
    assert request({"body": b"top"}).option("top") is None
    assert request().option("top") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("0", 0), ("007", 7), ("9" * 19, 10**19 - 1), ("9" * 20, None), ("-1", None), ("1e3", None), ("", None)),
        *(("٣", None), ("²", None), (" 1", None), ("x", None)),
    ],
)
def test_a_whole_number_has_ascii_digits_and_not_too_many(text, number):
    assert parse_whole_number(text) == number


def test_a_whole_option_is_within_its_bounds():
    assert [query_request(f"top={n}").integer("top", 2, 4) for n in (2, 3, 4)] == [2, 3, 4]
    assert query_request("top=99").integer("top", 2) == 99
    assert query_request("other=1").integer("top", 2, 4) is None
    for text in ("1", "5", "x", "-3", "2.5"):
        with pytest.raises(BadRequest, match=r"^not a whole number from 2 to 4$") as caught:
            query_request(f"top={text}").integer("top", 2, 4)
        assert caught.value.field == "top"
    with pytest.raises(BadRequest, match=r"^not a whole number of at least 2$"):
        query_request("top=1").integer("top", 2)


def test_a_number_is_within_its_bounds():
    assert [query_request(f"t={n}").number("t", 0, 1.5) for n in ("0", "1.5", "1e-1")] == [0, 1.5, 0.1]
    assert query_request("").number("t", 0, 1) is None
    for text in ("-0.1", "1.6", "nan", "inf", "x"):
        with pytest.raises(BadRequest, match=r"^not a number from 0 to 1.5$") as caught:
            query_request(f"t={text}").number("t", 0, 1.5)
        assert caught.value.field == "t"


def test_a_flag_is_false_by_default():
    assert [query_request(f"f={text}").flag("f") for text in ("true", "TRUE", "1")] == [True] * 3
    assert [query_request(f"f={text}").flag("f") for text in ("false", "False", "0")] == [False] * 3
    assert request({"body": {"f": True}}).flag("f") is True
    assert query_request("").flag("f") is False
    with pytest.raises(BadRequest, match=r"^neither true nor false$") as caught:
        query_request("f=yes").flag("f")
    assert caught.value.field == "f"
