"""Images -> classes."""

import torch
from torch import Tensor

from handlers.codecs.image import ImageCodec
from tests.support.samples import BASE64, picture
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common import images
from tests.tasks.common.class_probabilities import probabilities as numbers

__all__ = ["BAD", "EXPORTED", "GOOD", "facts", "inputs", "numbers"]


def facts(card):
    return ImageCodec(**card.input), {"num_classes": 10}, [str(digit) for digit in range(10)]


def inputs(codec, arguments, count) -> Tensor:
    size = (count, codec.channels, codec.size, codec.size)
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(0, 256, size, generator=generator, dtype=torch.uint8))


GOOD = {
    "raw body": SampleRequest({"body": picture()}),
    "raw body, no content type, bytearray": SampleRequest({"body": bytearray(picture())}),
    "form part": SampleRequest({"image": bytearray(picture())}),
    "form part called data": SampleRequest({"data": picture()}),
    "base64 in JSON": SampleRequest({"body": {"image": BASE64}}, JSON),
    "base64 in JSON without a content type": SampleRequest({"body": b'{"image": "%s"}' % BASE64.encode()}),
    "data URL": SampleRequest({"body": {"image": "data:image/png;base64," + BASE64}}, JSON),
    "top as a form field": SampleRequest({"image": picture(), "top": b"10"}),
    "top in the query": SampleRequest({"body": picture()}, {"x-request-query": "top=10"}),
}

# name: (request, the field that the 400 names)
BAD = {
    **images.BAD,
    "top 0": (SampleRequest({"body": picture(), "top": b"0"}), "top"),
    "top x": (SampleRequest({"body": picture(), "top": b"x"}), "top"),
    "top of 5,000 digits": (SampleRequest({"body": picture(), "top": b"9" * 5000}), "top"),
}

EXPORTED = ("example.png", "image/png", picture(size=(32, 32)))
