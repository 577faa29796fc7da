"""Images of one line of text -> its characters."""

import torch
from PIL import Image
from torch import Tensor

from handlers.codecs.text_line import TextLineCodec
from tests.support.samples import BASE64, pdf, picture, small_pdf
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common import images

ALPHABET = "0123456789abc好票"
SHAPE = (16, len(ALPHABET) + 1)  # frames of four columns


def facts(card):
    codec = TextLineCodec(ALPHABET, **card.input)
    return codec, {"num_classes": len(ALPHABET) + 1}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(1, 256, (count, 64, codec.height), generator=generator, dtype=torch.uint8))


def numbers(response) -> list[float]:
    places = [ord(one["character"]) + one["confidence"] for one in response["characters"]]
    return [len(places), response["confidence"], *places]


GOOD = {
    "raw body": SampleRequest({"body": picture()}),
    "a long line": SampleRequest({"body": picture(size=(400, 30))}),
    "longer than the limit": SampleRequest({"body": picture(size=(3000, 20))}),
    "a column": SampleRequest({"body": picture(size=(3, 200))}),
    "JPEG as a form part": SampleRequest({"image": bytearray(picture(kind="JPEG"))}),
    "base64 in JSON": SampleRequest({"body": {"image": BASE64}}, JSON),
    "grey": SampleRequest({"body": picture("L")}),
    "transparent": SampleRequest({"body": picture("RGBA")}),
    "PDF": SampleRequest({"body": small_pdf()}),
}

BAD = {
    **images.BAD,
    **images.BAD_PDF,
    "two pages": (SampleRequest({"body": pdf(*[Image.new("L", (90, 20), 250)] * 2)}), "pages"),
}

EXPORTED = ("example.png", "image/png", picture("L", size=(96, 32)))
