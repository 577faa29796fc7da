"""Requests about faces: their verbs, their faces, and refusals."""

import pytest
import torch

from handlers.codecs.face import FaceCodec
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.vision.face_requests import FaceInput
from tests.support.samples import BASE64, bomb, picture

CODEC = FaceCodec(size=8, channels=3)
A, B = picture(size=(46, 56)), picture("L", size=(60, 60))


def face_input(body=None, headers=None, **fields) -> FaceInput:
    return FaceInput.from_request(
        Request(fields if body is None else {"body": body, **fields}, headers or {}, "id"), CODEC
    )


def verb_of(decoded: FaceInput) -> tuple:
    return decoded.verb, decoded.parts, decoded.person


def test_two_faces_are_compared_in_their_order():
    one = face_input(a=A, b=B)
    assert verb_of(one) == ("compare", ("a", "b"), "")
    assert one.faces.dtype == torch.uint8
    assert torch.equal(one.faces, torch.stack([CODEC.pixels(A), CODEC.pixels(B)]))
    assert verb_of(face_input({"a": BASE64, "b": BASE64})) == ("compare", ("a", "b"), "")


@pytest.mark.parametrize("one", [{"body": A}, {"image": A}, {"image": A, "list": b"false"}])
def test_one_face_is_identified(one):
    got = face_input(**one)
    assert verb_of(got) == ("identify", ("image",), "")
    assert torch.equal(got.faces, CODEC.pixels(A)[None])


def test_one_face_is_enrolled_under_a_name():
    got = face_input(image=A, enrol=" 李 雷 ".encode())
    assert verb_of(got) == ("enrol", ("image",), "李 雷")
    assert torch.equal(got.faces, CODEC.pixels(A)[None])


@pytest.mark.parametrize(
    ("request_", "verb", "person"),
    [
        ({"body": {"delete": "anna"}}, "delete", "anna"),
        ({"image": A, "delete": b"anna"}, "delete", "anna"),
        ({"body": {"list": True}}, "list", ""),
        ({"body": b"", "headers": {"x-request-query": "list=1"}}, "list", ""),
    ],
)
def test_deleting_and_listing_take_no_face(request_, verb, person):
    got = face_input(**request_)
    assert verb_of(got) == (verb, (), person)
    assert got.faces.shape == (1, 3, 8, 8)
    assert got.faces.dtype == torch.uint8
    assert not got.faces.any()


def test_options_have_defaults():
    got = face_input(image=A)
    assert (got.top, got.embeddings, got.as_png) == (5, False, False)
    got = face_input(image=A, top=b"100", embeddings=b"true", headers={"accept": "image/png"})
    assert (got.top, got.embeddings, got.as_png) == (100, True, True)
    assert face_input(image=A, top=b"1").top == 1


# name: (fields, the field that the 400 names, a part of the message)
NO_FACE = "to compare two, send both a and b; to look up one, send it as image"
BAD = {
    "the first alone": ({"a": A}, "b", f"no face b: {NO_FACE}"),
    "the second alone": ({"body": {"b": BASE64}}, "a", f"no face a: {NO_FACE}"),
    "a second that is no image": ({"a": A, "b": b"a friend"}, "b", "not an image"),
    "a first that is a bomb": ({"a": bomb(), "b": B}, "a", "limit"),
    "an image that is no image": ({"image": b"a friend"}, "image", "not an image"),
    "broken JSON": ({"body": b"{"}, "body", "not valid JSON"),
    "broken JSON as a part": ({"a": A, "b": b"{"}, "body", "not valid JSON"),
    "enrolling two": ({"a": A, "b": B, "enrol": b"anna"}, "enrol", "does not go with two faces to compare"),
    "deleting with one of two": ({"a": A, "delete": b"anna"}, "delete", "does not go with two faces to compare"),
    "listing with two": ({"a": A, "b": B, "list": b"true"}, "list", "does not go with two faces to compare"),
    "enrolling and deleting": ({"enrol": b"x", "delete": b"y"}, "delete", "one thing at a time: enrol or delete"),
    "listing and enrolling": ({"list": b"1", "enrol": b"y"}, "enrol", "one thing at a time: list or enrol"),
    "all three": ({"list": b"1", "enrol": b"x", "delete": b"y"}, "enrol", "one thing at a time: list or enrol"),
    "no name": ({"image": A, "enrol": b""}, "enrol", "a name has 1 to 64"),
    "a path as a name": ({"delete": b"../x"}, "delete", "a name has 1 to 64"),
    "top 0": ({"image": A, "top": b"0"}, "top", "from 1 to 100"),
    "top 101": ({"image": A, "top": b"101"}, "top", "from 1 to 100"),
    "unclear embeddings": ({"image": A, "embeddings": b"all"}, "embeddings", "neither true nor false"),
    "unclear list": ({"list": b"yes"}, "list", "neither true nor false"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_names_its_field(case):
    fields, field, message = BAD[case]
    with pytest.raises(BadRequest) as caught:
        face_input(**fields)
    assert caught.value.field == field
    assert message in caught.value.reason
