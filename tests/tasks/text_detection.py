"""Images of pages -> where the lines of text are."""

import torch
from torch import Tensor

from handlers.codecs.text_page import TextPageCodec
from tests.samples import BASE64, bomb, picture
from tests.worker import JSON, Ask

SHAPE = (3, 6, 10, 4)  # rows and columns of cells, anchors, what is said of each


def facts(card):
    return TextPageCodec(**card.input), {}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(1, 256, (count, 1, 48, 96), generator=generator, dtype=torch.uint8))


def numbers(reply) -> list[float]:
    return [number for line in reply["lines"] for number in (*line["box"], line["score"])]


GOOD = {
    "raw body": Ask({"body": picture()}),
    "a page": Ask({"body": picture(size=(200, 300))}),
    "larger than the limit": Ask({"body": picture(size=(1500, 40))}),
    "one pixel": Ask({"body": picture(size=(1, 1))}),
    "JPEG as a form part": Ask({"image": bytearray(picture(kind="JPEG"))}),
    "base64 in JSON": Ask({"body": {"image": BASE64}}, JSON),
    "grey": Ask({"body": picture("L")}),
    "transparent": Ask({"body": picture("RGBA")}),
}

# name: (request, the field that the 400 names)
BAD = {
    "truncated PNG": (Ask({"body": picture()[:400]}), "image"),
    "empty body": (Ask({"body": b""}), "image"),
    "no body": (Ask({}), "image"),
    "not an image": (Ask({"body": b"hello"}), "image"),
    "bomb": (Ask({"body": bomb()}), "image"),
    "wrong JSON": (Ask({"body": b'{"image": '}, JSON), "body"),
    "wrong member": (Ask({"body": {"picture": BASE64}}, JSON), "image"),
    "not base64": (Ask({"body": {"image": "%%%"}}, JSON), "image"),
}
