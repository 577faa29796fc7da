"""Faces -> whether two are of one person. Requests that change the gallery are in test_face_gallery.py."""

import base64
import json

import torch
from torch import Tensor

from handlers.codecs.face import FaceCodec
from tests.support.samples import bomb, picture
from tests.support.worker import JSON, SampleRequest

A, B = picture(size=(46, 56)), picture("L", size=(60, 60))
TEXT_A, TEXT_B = (base64.b64encode(face).decode() for face in (A, B))


def facts(card):
    return FaceCodec(**card.input), {"embedding_dim": 32}, []


def inputs(codec, arguments, count) -> Tensor:
    size = (count, codec.channels, codec.size, codec.size)
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(0, 256, size, generator=generator, dtype=torch.uint8))


def numbers(response) -> list[float]:
    matches = sorted(response.get("matches", []), key=lambda match: match["person"])
    return [response.get("similarity", 0.0), *(match["similarity"] for match in matches)]


GOOD = {
    "two form parts": SampleRequest({"a": A, "b": bytearray(B)}),
    "two in JSON": SampleRequest({"body": {"a": TEXT_A, "b": TEXT_B}}, JSON),
    "data URLs": SampleRequest({"body": {"a": "data:image/png;base64," + TEXT_A, "b": TEXT_B}}, JSON),
    "twice the same": SampleRequest({"a": A, "b": A}),
    "with embeddings": SampleRequest({"body": {"a": TEXT_A, "b": TEXT_B, "embeddings": True}}, JSON),
    "one in the gallery, raw": SampleRequest({"body": A}),
    "one in the gallery, form part": SampleRequest({"image": A, "top": b"1"}),
    "one in the gallery, JSON": SampleRequest({"body": {"image": TEXT_A}}, JSON),
    "list": SampleRequest({"body": {"list": True}}, JSON),
    "list in the query": SampleRequest({"body": b""}, {"x-request-query": "list=true"}),
}

# name: (request, the field that the 400 names)
BAD = {
    "no second face": (SampleRequest({"a": A}), "b"),
    "no first face": (SampleRequest({"body": {"b": TEXT_B}}, JSON), "a"),
    "the second is null": (SampleRequest({"body": {"a": TEXT_A, "b": None}}, JSON), "b"),
    "the second is empty": (SampleRequest({"a": A, "b": b""}), "b"),
    "the second is a text": (SampleRequest({"a": A, "b": b"a friend of mine"}), "b"),
    "the second is a bomb": (SampleRequest({"a": A, "b": bomb()}), "b"),
    "the first is cut short": (SampleRequest({"a": A[:200], "b": B}), "a"),
    "a text in place of the image": (SampleRequest({"body": b"a friend of mine"}), "image"),
    "a number in place of the image": (SampleRequest({"body": {"image": 7}}, JSON), "image"),
    "no body": (SampleRequest({}), "image"),
    "empty body": (SampleRequest({"body": b""}), "image"),
    "wrong JSON": (SampleRequest({"body": b'{"a": '}, JSON), "body"),
    "unknown person to delete": (SampleRequest({"body": {"delete": "nobody"}}, JSON), "delete"),
    "no name to delete": (SampleRequest({"body": {"delete": ""}}, JSON), "delete"),
    "a path for a name": (SampleRequest({"image": A, "enrol": b"../../etc/passwd"}), "enrol"),
    "a name of 65 letters": (SampleRequest({"image": A, "enrol": b"x" * 65}), "enrol"),
    "enrol without a face": (SampleRequest({"body": {"enrol": "anna"}}, JSON), "image"),
    "enrol a text": (SampleRequest({"image": b"anna", "enrol": b"anna"}), "image"),
    "enrol two faces": (SampleRequest({"a": A, "b": B, "enrol": b"anna"}), "enrol"),
    "enrol and delete": (SampleRequest({"image": A, "enrol": b"anna", "delete": b"anna"}), "delete"),
    "list neither true nor false": (SampleRequest({"image": A, "list": b"yes"}), "list"),
    "top 0": (SampleRequest({"image": A, "top": b"0"}), "top"),
    "embeddings of what": (SampleRequest({"image": A, "embeddings": b"all"}), "embeddings"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"a": TEXT_A, "b": TEXT_B}).encode())
