"""A seed -> new images."""

import base64

import torch
from torch import Tensor

from handlers.codecs.image import ImageCodec
from tests.support.worker import JSON, SampleRequest

SHAPE = (1, 28, 28)


def facts(card):
    size, channels = card.input["size"], card.input["channels"]
    arguments = {"size": size, "channels": channels, "latent": 100, "num_classes": 10}
    return ImageCodec(**card.input), arguments, [str(digit) for digit in range(10)]


def inputs(codec, arguments, count) -> Tensor:
    numbers = torch.randn(count, arguments["latent"], generator=torch.Generator().manual_seed(1))
    return torch.cat([numbers, torch.eye(arguments["num_classes"])[torch.arange(count) % 10]], dim=1)


def numbers(response) -> list[int]:
    """Return the bytes of the images, which are equal to the last bit for the same seed."""
    return [byte for image in response["images"] for byte in base64.b64decode(image)]


GOOD = {
    "a seed": SampleRequest({"body": {"seed": 7}}, JSON),
    "a seed and a count": SampleRequest({"body": {"seed": 7, "count": 5}}, JSON),
    "seed 0 in the query": SampleRequest({"body": b""}, {"x-request-query": "seed=0&count=2"}),
    "a label": SampleRequest({"body": {"seed": 7, "count": 3, "label": "4"}}, JSON),
    "a label as a number": SampleRequest({"body": {"seed": 7, "label": 4}}, JSON),
    "a large seed": SampleRequest({"seed": b"9007199254740991"}),
}

# name: (request, the field that the 400 names)
BAD = {
    "a negative seed": (SampleRequest({"body": {"seed": -1}}, JSON), "seed"),
    "a seed that is too large": (SampleRequest({"body": {"seed": 2**53}}, JSON), "seed"),
    "a seed of a million digits": (SampleRequest({"seed": b"9" * 1_000_000}), "seed"),
    "a fraction": (SampleRequest({"body": {"seed": 1.5}}, JSON), "seed"),
    "a word": (SampleRequest({"body": {"seed": "x"}}, JSON), "seed"),
    "a boolean": (SampleRequest({"body": {"seed": True}}, JSON), "seed"),
    "count 0": (SampleRequest({"body": {"seed": 1, "count": 0}}, JSON), "count"),
    "10,000 images": (SampleRequest({"body": {"seed": 1, "count": 10_000}}, JSON), "count"),
    "an unknown label": (SampleRequest({"body": {"seed": 1, "label": "ten"}}, JSON), "label"),
    "an empty label": (SampleRequest({"seed": b"1", "label": b""}), "label"),
    "a list of labels": (SampleRequest({"body": {"seed": 1, "label": ["1"]}}, JSON), "label"),
    "a label of a million digits": (SampleRequest({"seed": b"1", "label": b"1" * 1_000_000}), "label"),
    "wrong JSON": (SampleRequest({"body": b'{"seed": '}, JSON), "body"),
}

EXPORTED = ("example.json", "application/json", b'{"seed": 1, "count": 2}')
