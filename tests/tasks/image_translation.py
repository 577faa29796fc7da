"""Images -> the same images in another domain."""

import base64
import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from handlers.codecs.letterbox import LetterboxCodec
from tests.support.samples import BASE64, picture
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common import images

SHAPE = (2, 3, 32, 32)


def facts(card):
    return LetterboxCodec(**card.input), {}, ["A", "B"]


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    size = (count, 3, codec.size, codec.size)
    return codec.normalize(torch.randint(0, 256, size, generator=generator, dtype=torch.uint8))


def numbers(response) -> list[float]:
    """Return the mean of each channel, because in another batch a pixel may be rounded differently."""
    return (np.asarray(Image.open(io.BytesIO(base64.b64decode(response["image"])))).mean((0, 1)) / 2550).tolist()


GOOD = {
    "raw body": SampleRequest({"body": picture()}),
    "to B as a form field": SampleRequest({"image": bytearray(picture()), "to": b"B"}),
    "to A as a form field": SampleRequest({"image": bytearray(picture()), "to": b"A"}),
    "to A in the query": SampleRequest({"body": picture(size=(20, 50))}, {"x-request-query": "to=A"}),
    "to A in JSON": SampleRequest({"body": {"image": BASE64, "to": "A"}}, JSON),
    "base64 in JSON": SampleRequest({"body": {"image": BASE64}}, JSON),
    "an enormous JPEG": SampleRequest({"body": picture(kind="JPEG", size=(5000, 4000))}),
    "a strip": SampleRequest({"body": picture(size=(1, 3000))}),
    "grey": SampleRequest({"body": picture("L")}),
}

# name: (request, the field that the 400 names)
BAD = {
    **images.BAD,
    "to C": (SampleRequest({"image": picture(), "to": b"C"}), "to"),
    "to a small letter": (SampleRequest({"image": picture(), "to": b"b"}), "to"),
    "to nothing": (SampleRequest({"image": picture(), "to": b""}), "to"),
    "to a number": (SampleRequest({"body": {"image": BASE64, "to": 1}}, JSON), "to"),
    "to a list": (SampleRequest({"body": {"image": BASE64, "to": ["A"]}}, JSON), "to"),
    "to a million letters": (SampleRequest({"image": picture(), "to": b"B" * 1_000_000}), "to"),
    "to bytes that are no text": (SampleRequest({"image": picture(), "to": b"\xff\xfe"}), "to"),
    "not base64, to A": (SampleRequest({"body": {"image": "%%%", "to": "A"}}, JSON), "image"),
}

EXPORTED = ("example.png", "image/png", picture(size=(32, 32)))
