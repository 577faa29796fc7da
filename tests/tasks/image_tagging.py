"""Images -> any number of labels."""

import torch
from torch import Tensor

from handlers.codecs.image import ImageCodec
from tests.support.samples import BASE64, picture
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common import images

ALL = {"x-request-query": "threshold=0"}  # every label, in any order of probabilities


def facts(card):
    return ImageCodec(**card.input), {"num_classes": 10}, [str(digit) for digit in range(10)]


def inputs(codec, arguments, count) -> Tensor:
    size = (count, codec.channels, codec.size, codec.size)
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(0, 256, size, generator=generator, dtype=torch.uint8))


def numbers(response) -> list[float]:
    return [tag["probability"] for tag in sorted(response["tags"], key=lambda tag: tag["label"])]


GOOD = {
    "every label": SampleRequest({"body": picture()}, ALL),
    "raw body": SampleRequest({"body": picture()}),
    "form part": SampleRequest({"image": bytearray(picture())}),
    "base64 in JSON": SampleRequest({"body": {"image": BASE64}}, JSON),
    "threshold as a form field": SampleRequest({"image": picture(), "threshold": b"0.25"}),
    "no label": SampleRequest({"body": picture()}, {"x-request-query": "threshold=1"}),
}

# name: (request, the field that the 400 names)
BAD = {
    **images.BAD,
    "threshold 2": (SampleRequest({"body": picture(), "threshold": b"2"}), "threshold"),
    "threshold x": (SampleRequest({"body": picture(), "threshold": b"x"}), "threshold"),
}

EXPORTED = ("example.png", "image/png", picture(size=(32, 32)))
