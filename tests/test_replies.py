"""Responses: their JSON, their status, their summary in a header, and the schemas that describe them."""

import json

import pytest

from handlers import jsons, replies
from handlers.errors import BadRequest
from handlers.replies import BINARY, NUMBER, STRING, Answer, array, gist, schema, upload


@pytest.fixture(params=["orjson", "the standard library"])
def library(request, monkeypatch):
    """Each of the two libraries that write JSON."""
    if request.param != "orjson":
        monkeypatch.setattr(jsons, "orjson", None)
    return request.param


def test_json_is_compact_utf8_with_either_library(library):
    assert jsons.dumps({"文": [1, 2.5, True], "n": "null"}) == '{"文":[1,2.5,true],"n":"null"}'.encode()
    assert jsons.dumps({"none": None}) == b'{"none":null}'
    assert jsons.dumps({"big": 2**70}) == b'{"big":1180591620717411303424}'


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_does_not_have_are_refused_with_either_library(library, number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        jsons.dumps({"x": number})


def test_json_is_read_with_either_library(library):
    assert jsons.loads('{"a": [1, "好"]}') == jsons.loads('{"a": [1, "好"]}'.encode()) == {"a": [1, "好"]}
    assert jsons.loads("[NaN]")[0] != jsons.loads("[NaN]")[0]
    with pytest.raises(ValueError, match="Expecting value: line 1 column 2"):
        jsons.loads("[")


def test_a_mapping_becomes_json_and_an_answer_stays_as_it_is():
    answer = Answer.of({"label": "好"}, "summary")
    assert answer == Answer('{"label":"好"}'.encode(), "application/json", 200, None, "summary")
    assert Answer.of({}).gist is None
    picture = Answer(b"\x89PNG", content_type="image/png")
    assert Answer.of(picture, "summary") is picture


def test_a_refusal_names_the_field_and_the_reason():
    answer = Answer.refusal(BadRequest("features.RM", "not a number"))
    assert (answer.status, answer.content_type, answer.field) == (400, "application/json", "features.RM")
    assert list(json.loads(answer.body).items()) == [
        ("code", 400),
        ("type", "BadRequest"),
        ("message", "not a number"),
        ("field", "features.RM"),
    ]
    assert str(BadRequest("top", "too large")) == "too large"


def test_a_failure_is_the_servers():
    answer = Answer.failure("a bug")
    assert (answer.status, answer.content_type, answer.field) == (500, "application/json", None)
    assert json.loads(answer.body) == {"code": 500, "type": "InternalServerError", "message": "a bug"}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"predictions": [{"label": "cat", "p": 0.5}, {"label": "dog"}]}, '{"label":"cat","p":0.5}'),
        ({"predictions": [{"label": "好\r\nx: 1"}]}, '{"label":"%E5%A5%BD%5Cr%5Cnx:%201"}'),
        ({"prediction": 21.5, "unit": "k$"}, '{"prediction":21.5}'),
        ({"predictions": []}, None),
        ({"text": "hello"}, None),
    ],
)
def test_the_summary_is_the_best_class_or_the_number_and_safe_in_a_header(reply, expected):
    assert gist(reply) == expected


def test_schemas_require_every_property_that_they_name():
    assert schema(label=STRING, probability=NUMBER) == {
        "type": "object",
        "required": ["label", "probability"],
        "properties": {"label": {"type": "string"}, "probability": {"type": "number"}},
    }
    assert array(NUMBER) == {"type": "array", "items": {"type": "number"}}


def test_an_upload_is_a_file_or_a_form_part_or_base64_in_json():
    request = upload("image", "image/*", "image/png")
    assert list(request) == ["image/*", "image/png", "multipart/form-data", "application/json"]
    assert request["image/*"] == request["image/png"] == {"schema": BINARY}
    assert request["multipart/form-data"] == {"schema": schema(image=BINARY)}
    assert request["application/json"] == {"schema": schema(image=replies.BASE64)}
