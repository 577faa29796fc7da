"""Images of pages -> where the lines of text are."""

import torch
from PIL import Image
from torch import Tensor

from handlers.codecs.text_page import TextPageCodec
from tests.support.samples import BASE64, pdf, picture, small_pdf
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common import images

SHAPE = (3, 6, 10, 4)  # rows and columns of cells, anchors, outputs of each


def facts(card):
    return TextPageCodec(**card.input), {}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(1, 256, (count, 1, 48, 96), generator=generator, dtype=torch.uint8))


def all_lines(response) -> list[dict]:
    """Return the lines of an image, or of all pages of a PDF."""
    return [line for page in response.get("pages", [response]) for line in page["lines"]]


def numbers(response) -> list[float]:
    return [number for line in all_lines(response) for number in (*line["box"], line["score"])]


GOOD = {
    "raw body": SampleRequest({"body": picture()}),
    "a page": SampleRequest({"body": picture(size=(200, 300))}),
    "larger than the limit": SampleRequest({"body": picture(size=(1500, 40))}),
    "one pixel": SampleRequest({"body": picture(size=(1, 1))}),
    "JPEG as a form part": SampleRequest({"image": bytearray(picture(kind="JPEG"))}),
    "base64 in JSON": SampleRequest({"body": {"image": BASE64}}, JSON),
    "grey": SampleRequest({"body": picture("L")}),
    "transparent": SampleRequest({"body": picture("RGBA")}),
    "PDF": SampleRequest({"body": pdf(*[Image.new("L", (90, 60), 250)] * 3)}),
    "a page of a PDF": SampleRequest({"image": bytearray(small_pdf()), "pages": b"1-1"}),
}

BAD = images.BAD | images.BAD_PDF

EXPORTED = ("example.png", "image/png", picture("L", size=(96, 32)))
