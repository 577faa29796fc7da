"""Forms as clients send them, hidden from TorchServe by Envoy: parsed under limits, or refused with the field."""

import sys

import pytest

from handlers import forms
from handlers.errors import BadRequest
from handlers.forms import MAX_FIELD, MAX_NAME, MAX_PARTS, parse_form
from handlers.request import Request

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xyz"


def part(content: bytes, disposition: bytes = b'form-data; name="image"; filename="a.png"') -> bytes:
    return b"--xyz\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + content + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xyz--\r\n"


def request(body: bytes, content_type: str, **headers) -> Request:
    return Request({"body": bytearray(body)}, {"x-marina-content-type": content_type, **headers}, "id")


@pytest.mark.parametrize(
    ("body", "content_type", "fields"),
    [
        (b"text=hi+there&top=3", URLENCODED, {"text": b"hi there", "top": b"3"}),
        (
            b"text=%E5%A5%BD%26&&b=&a&a=1&",
            URLENCODED.upper() + "; charset=utf-8",
            {"text": "好&".encode(), "b": b"", "a": b"1"},
        ),
        (b"a%5Bb%5D=%3D", URLENCODED, {"a[b]": b"="}),
        (b"", URLENCODED, {}),
        (
            whole(part(b"\x89PNG\r\n--xy"), part(b"3", b"form-data; name=top")),
            MULTIPART,
            {"image": b"\x89PNG\r\n--xy", "top": b"3"},
        ),
        (whole(part(b"1"), part(b"2")), 'Multipart/Form-Data; BOUNDARY="xyz"', {"image": b"2"}),
        (whole(part(b"x", 'form-data; name="好"'.encode())), MULTIPART, {"好": b"x"}),
        (whole(part(b"x" * (MAX_FIELD + 1))), MULTIPART, {"image": b"x" * (MAX_FIELD + 1)}),
    ],
)
def test_a_form_becomes_fields(body, content_type, fields):
    assert parse_form(body, content_type) == fields


@pytest.mark.parametrize(
    ("body", "content_type", "field", "reason"),
    [
        (b"a=%", URLENCODED, "a", "hexadecimal"),
        (b"a=1&b%zz=1", URLENCODED, "body", "hexadecimal"),
        (b"a=" * 1 + b"x" * (MAX_FIELD + 1), URLENCODED, "a", "longer than"),
        (b"a" * (MAX_NAME + 1) + b"=1", URLENCODED, None, None),
        (b"b=1&" + b"a" * (MAX_NAME + 1) + b"=1", URLENCODED, "body", "name is longer"),
        (b"a=&" * (MAX_PARTS + 1), URLENCODED, "body", "more than 32 fields"),
        (b"a=" + b"&" * 12_000_000, URLENCODED, "body", "more than 32 fields"),
        (b"b=2&=1", URLENCODED, "body", "without a name"),
        (whole(part(b"x")), "multipart/form-data", "content-type", "without a boundary"),
        (whole(part(b"x")), "multipart/form-data; boundary=", "content-type", "without a boundary"),
        (whole(part(b"x")), 'multipart/form-data; boundary=""', "content-type", "without a boundary"),
        (whole(part(b"x")), "multipart/form-data; boundary=" + "b" * 999, "body", "malformed form"),
        (whole(part(b"x")), "multipart/form-data; boundary=好", "body", "malformed form"),
        (whole(part(b"x")), "multipart/form-data; boundary=other", "body", "malformed form"),
        (whole(part(b"x", b"form-data")), MULTIPART, "body", "without a name"),
        (whole(part(b"x", b'form-data; name=""')), MULTIPART, "body", "without a name"),
        (whole(b"--xyz\r\n\r\nx\r\n"), MULTIPART, "body", "without a name"),
        (part(b"cut short"), MULTIPART, "body", "ends before"),
        (b"", MULTIPART, "body", "ends before"),
        (whole(part(b"x", b'form-data; name="a"; x="' + b"x" * 2000 + b'"')), MULTIPART, "body", "header size"),
        (whole(b"--xyz\r\n" + b"a: b\r\n" * 9 + b"\r\nx\r\n"), MULTIPART, "body", "header count"),
        (whole(part(b"x" * (MAX_FIELD + 1), b"form-data; name=a")), MULTIPART, "a", "longer than"),
        (whole(*[part(b"x")] * (MAX_PARTS + 1)), MULTIPART, "body", "more than 32 fields"),
        (whole(part(b"x", b'form-data; name="' + b"a" * (MAX_NAME + 1) + b'"')), MULTIPART, "body", "name is longer"),
    ],
)
def test_a_malformed_form_or_one_over_a_limit_is_refused_with_the_field(body, content_type, field, reason):
    if field is None:  # it does not begin like a form
        assert parse_form(body, content_type) is None
        return
    with pytest.raises(BadRequest, match=reason) as caught:
        parse_form(body, content_type)
    assert caught.value.field == field


@pytest.mark.parametrize("body", [b"\x89PNG=", b'{"text": "a=b"}', b"[1]", b" a=b", b"no form"])
def test_a_body_that_curl_declares_a_form_stays_as_it_is(body):
    assert parse_form(body, URLENCODED) is None
    assert request(body, URLENCODED).parts == {"body": body}


def test_json_that_curl_declares_a_form_is_read_as_json():
    assert request(b'{"text": "a=b"}', URLENCODED).field("text") == "a=b"


def test_fields_of_a_form_are_fields_and_options_of_the_request():
    one = request(b"text=%7B%7D&top=3", URLENCODED, **{"x-request-query": "top=4"})
    assert (one.field("text"), one.option("top"), one.option("text"), one.field("other")) == ({}, "4", "{}", None)
    assert request(whole(part(b"\x89PNG", b"form-data; name=data")), MULTIPART).field("image") == b"\x89PNG"


def test_a_form_that_torchserve_has_parsed_is_not_parsed_again():
    """A stock TorchServe, without Envoy: the content type is in its own header, the fields are those of the form."""
    stock = Request({"body": bytearray(b"a=1")}, {"content-type": URLENCODED}, "id")
    assert stock.parts == {"body": b"a=1"}
    assert stock.option("a") is None


def test_what_the_client_sent_wins_over_the_content_type_for_torchserve():
    one = Request(
        {"body": b"[1]"}, {"content-type": "application/octet-stream", "x-marina-content-type": "Text/Plain; a=b"}, ""
    )
    assert (one.content_type, one.body) == ("text/plain", b"[1]")


def test_without_python_multipart_a_form_is_refused_and_everything_else_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "python_multipart", None)
    with pytest.raises(BadRequest, match="it has no python-multipart"):
        parse_form(b"a=1", URLENCODED)
    assert parse_form(b"a=1", "text/plain") is None
    assert not hasattr(forms, "python_multipart")
