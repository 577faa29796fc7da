"""Responses of handlers: JSON with either library, status, prediction summary for a header, and JSON schemas."""

import json

import pytest

from handlers import response
from handlers.errors import BadRequest
from handlers.response import BINARY, NUMBER, STRING, Response, array, prediction_summary, schema, upload
from handlers.runtime import json_codec


@pytest.fixture(params=["orjson", "the standard library"])
def library(request, monkeypatch):
    """Run the test with orjson, and again with the standard library's json, as if orjson were not installed."""
    if request.param != "orjson":
        monkeypatch.setattr(json_codec, "orjson", None)
    return request.param


def test_json_is_compact_utf8_with_either_library(library):
    assert json_codec.dumps({"文": [1, 2.5, True], "n": "null"}) == '{"文":[1,2.5,true],"n":"null"}'.encode()
    assert json_codec.dumps({"none": None}) == b'{"none":null}'
    assert json_codec.dumps({"big": 2**70}) == b'{"big":1180591620717411303424}'


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_rejected_with_either_library(library, number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_codec.dumps({"x": number})


def test_json_is_parsed_with_either_library(library):
    assert json_codec.loads('{"a": [1, "好"]}') == json_codec.loads('{"a": [1, "好"]}'.encode()) == {"a": [1, "好"]}
    assert json_codec.loads("[NaN]")[0] != json_codec.loads("[NaN]")[0]  # NaN differs from itself
    with pytest.raises(ValueError, match="Expecting value: line 1 column 2"):
        json_codec.loads("[")


def test_a_mapping_is_encoded_as_json_and_a_response_is_returned_unchanged():
    encoded = Response.of({"label": "好"}, "summary")
    assert encoded == Response('{"label":"好"}'.encode(), "application/json", 200, None, "summary")
    assert Response.of({}).prediction_summary is None
    picture = Response(b"\x89PNG", content_type="image/png")
    assert Response.of(picture, "summary") is picture


def test_a_bad_request_names_the_field_and_the_reason():
    rejection = Response.bad_request(BadRequest("features.RM", "not a number"))
    assert (rejection.status, rejection.content_type, rejection.field) == (400, "application/json", "features.RM")
    assert list(json.loads(rejection.body).items()) == [
        ("code", 400),
        ("type", "BadRequest"),
        ("message", "not a number"),
        ("field", "features.RM"),
    ]
    assert str(BadRequest("top", "too large")) == "too large"


def test_an_internal_error_is_a_500():
    error = Response.internal_error("a bug")
    assert (error.status, error.content_type, error.field) == (500, "application/json", None)
    assert json.loads(error.body) == {"code": 500, "type": "InternalServerError", "message": "a bug"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"predictions": [{"label": "cat", "p": 0.5}, {"label": "dog"}]}, '{"label":"cat","p":0.5}'),
        ({"predictions": [{"label": "好\r\nx: 1"}]}, '{"label":"%E5%A5%BD%5Cr%5Cnx:%201"}'),
        ({"prediction": 21.5, "unit": "k$"}, '{"prediction":21.5}'),
        ({"predictions": []}, None),
        ({"text": "hello"}, None),
    ],
)
def test_the_prediction_summary_is_the_best_class_or_the_number_quoted_for_a_header(content, expected):
    assert prediction_summary(content) == expected


def test_every_property_of_a_schema_is_required():
    assert schema(label=STRING, probability=NUMBER) == {
        "type": "object",
        "required": ["label", "probability"],
        "properties": {"label": {"type": "string"}, "probability": {"type": "number"}},
    }
    assert array(NUMBER) == {"type": "array", "items": {"type": "number"}}


def test_the_schema_of_an_upload_allows_a_raw_body_a_form_part_or_base64_in_json():
    content = upload("image", "image/*", "image/png")
    assert list(content) == ["image/*", "image/png", "multipart/form-data", "application/json"]
    assert content["image/*"] == content["image/png"] == {"schema": BINARY}
    assert content["multipart/form-data"] == {"schema": schema(image=BINARY)}
    assert content["application/json"] == {"schema": schema(image=response.BASE64)}
