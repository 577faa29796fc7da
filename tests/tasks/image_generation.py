"""A seed -> new images."""

import base64

import torch
from torch import Tensor

from handlers.codecs.image import ImageCodec
from tests.worker import JSON, Ask

SHAPE = (1, 28, 28)


def facts(card):
    return ImageCodec(**card.input), {"size": card.input["size"], "channels": card.input["channels"], "latent": 100}, []


def inputs(codec, arguments, count) -> Tensor:
    return torch.randn(count, arguments["latent"], generator=torch.Generator().manual_seed(1))


def numbers(reply) -> list[int]:
    """The bytes of the images: the same seed gives the same, to the last bit."""
    return [byte for image in reply["images"] for byte in base64.b64decode(image)]


GOOD = {
    "a seed": Ask({"body": {"seed": 7}}, JSON),
    "a seed and a count": Ask({"body": {"seed": 7, "count": 5}}, JSON),
    "seed 0 in the query": Ask({"body": b""}, {"x-request-query": "seed=0&count=2"}),
    "a large seed": Ask({"seed": b"9007199254740991"}),
}

# name: (request, the field that the 400 names)
BAD = {
    "a negative seed": (Ask({"body": {"seed": -1}}, JSON), "seed"),
    "a seed that is too large": (Ask({"body": {"seed": 2**53}}, JSON), "seed"),
    "a seed of a million digits": (Ask({"seed": b"9" * 1_000_000}), "seed"),
    "a fraction": (Ask({"body": {"seed": 1.5}}, JSON), "seed"),
    "a word": (Ask({"body": {"seed": "x"}}, JSON), "seed"),
    "a boolean": (Ask({"body": {"seed": True}}, JSON), "seed"),
    "count 0": (Ask({"body": {"seed": 1, "count": 0}}, JSON), "count"),
    "10,000 images": (Ask({"body": {"seed": 1, "count": 10_000}}, JSON), "count"),
    "wrong JSON": (Ask({"body": b'{"seed": '}, JSON), "body"),
}

EXPORTED = ("example.json", "application/json", b'{"seed": 1, "count": 2}')
