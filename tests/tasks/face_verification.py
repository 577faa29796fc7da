"""Faces -> whether two are of one person. What changes the gallery is in tests/test_gallery.py."""

import base64
import json

import torch
from torch import Tensor

from handlers.codecs.face import FaceCodec
from tests.samples import bomb, picture
from tests.worker import JSON, Ask

A, B = picture(size=(46, 56)), picture("L", size=(60, 60))
TEXT_A, TEXT_B = (base64.b64encode(face).decode() for face in (A, B))


def facts(card):
    return FaceCodec(**card.input), {"embedding_dim": 32}, []


def inputs(codec, arguments, count) -> Tensor:
    size = (count, codec.channels, codec.size, codec.size)
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(0, 256, size, generator=generator, dtype=torch.uint8))


def numbers(reply) -> list[float]:
    matches = sorted(reply.get("matches", []), key=lambda match: match["person"])
    return [reply.get("similarity", 0.0), *(match["similarity"] for match in matches)]


GOOD = {
    "two form parts": Ask({"a": A, "b": bytearray(B)}),
    "two in JSON": Ask({"body": {"a": TEXT_A, "b": TEXT_B}}, JSON),
    "data URLs": Ask({"body": {"a": "data:image/png;base64," + TEXT_A, "b": TEXT_B}}, JSON),
    "twice the same": Ask({"a": A, "b": A}),
    "with embeddings": Ask({"body": {"a": TEXT_A, "b": TEXT_B, "embeddings": True}}, JSON),
    "one in the gallery, raw": Ask({"body": A}),
    "one in the gallery, form part": Ask({"image": A, "top": b"1"}),
    "one in the gallery, JSON": Ask({"body": {"image": TEXT_A}}, JSON),
    "list": Ask({"body": {"list": True}}, JSON),
    "list in the query": Ask({"body": b""}, {"x-request-query": "list=true"}),
}

# name: (request, the field that the 400 names)
BAD = {
    "no second face": (Ask({"a": A}), "b"),
    "no first face": (Ask({"body": {"b": TEXT_B}}, JSON), "a"),
    "the second is null": (Ask({"body": {"a": TEXT_A, "b": None}}, JSON), "b"),
    "the second is empty": (Ask({"a": A, "b": b""}), "b"),
    "the second is a text": (Ask({"a": A, "b": b"a friend of mine"}), "b"),
    "the second is a bomb": (Ask({"a": A, "b": bomb()}), "b"),
    "the first is cut short": (Ask({"a": A[:200], "b": B}), "a"),
    "a text in place of the image": (Ask({"body": b"a friend of mine"}), "image"),
    "a number in place of the image": (Ask({"body": {"image": 7}}, JSON), "image"),
    "no body": (Ask({}), "image"),
    "empty body": (Ask({"body": b""}), "image"),
    "wrong JSON": (Ask({"body": b'{"a": '}, JSON), "body"),
    "unknown person to delete": (Ask({"body": {"delete": "nobody"}}, JSON), "delete"),
    "no name to delete": (Ask({"body": {"delete": ""}}, JSON), "delete"),
    "a path for a name": (Ask({"image": A, "enrol": b"../../etc/passwd"}), "enrol"),
    "a name of 65 letters": (Ask({"image": A, "enrol": b"x" * 65}), "enrol"),
    "enrol without a face": (Ask({"body": {"enrol": "anna"}}, JSON), "image"),
    "enrol a text": (Ask({"image": b"anna", "enrol": b"anna"}), "image"),
    "enrol two faces": (Ask({"a": A, "b": B, "enrol": b"anna"}), "enrol"),
    "enrol and delete": (Ask({"image": A, "enrol": b"anna", "delete": b"anna"}), "delete"),
    "list neither true nor false": (Ask({"image": A, "list": b"yes"}), "list"),
    "top 0": (Ask({"image": A, "top": b"0"}), "top"),
    "embeddings of what": (Ask({"image": A, "embeddings": b"all"}), "embeddings"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"a": TEXT_A, "b": TEXT_B}).encode())
