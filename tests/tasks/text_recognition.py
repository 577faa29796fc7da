"""Images of one line of text -> its characters."""

import torch
from torch import Tensor

from handlers.codecs.text_line import TextLineCodec
from tests.samples import BASE64, picture
from tests.tasks import images
from tests.worker import JSON, Ask

ALPHABET = "0123456789abc好票"
SHAPE = (16, len(ALPHABET) + 1)  # frames of four columns


def facts(card):
    codec = TextLineCodec(ALPHABET, **card.input)
    return codec, {"num_classes": len(ALPHABET) + 1}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(1, 256, (count, 64, codec.height), generator=generator, dtype=torch.uint8))


def numbers(reply) -> list[float]:
    places = [ALPHABET.index(one["character"]) + one["confidence"] for one in reply["characters"]]
    return [len(places), reply["confidence"], *places]


GOOD = {
    "raw body": Ask({"body": picture()}),
    "a long line": Ask({"body": picture(size=(400, 30))}),
    "longer than the limit": Ask({"body": picture(size=(3000, 20))}),
    "a column": Ask({"body": picture(size=(3, 200))}),
    "JPEG as a form part": Ask({"image": bytearray(picture(kind="JPEG"))}),
    "base64 in JSON": Ask({"body": {"image": BASE64}}, JSON),
    "grey": Ask({"body": picture("L")}),
    "transparent": Ask({"body": picture("RGBA")}),
}

BAD = images.BAD

EXPORTED = ("example.png", "image/png", picture("L", size=(96, 32)))
