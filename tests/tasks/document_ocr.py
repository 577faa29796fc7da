"""Images of invoices -> their lines and their fields."""

import torch
from torch import Tensor

from handlers.codecs.invoice import InvoiceCodec
from tests.samples import BASE64, picture
from tests.tasks import images
from tests.worker import JSON, Ask

ALPHABET = "0123456789.￥元合计"
SHAPE = (3, 6, 10, 4)  # of the detector: rows and columns of cells, anchors, what is said of each


def facts(card):
    return InvoiceCodec(alphabet=ALPHABET, **card.input), {"num_classes": len(ALPHABET) + 1}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return codec.page.normalize(torch.randint(1, 256, (count, 1, 48, 96), generator=generator, dtype=torch.uint8))


def loss(network, batch) -> Tensor:
    """Of both parts, the reader given strips of the pages."""
    return network(batch).square().mean() + network.reader(batch[:, :, :32]).square().mean()


def numbers(reply) -> list[float]:
    return [number for line in reply["lines"] for number in (*line["box"], line["confidence"], len(line["text"]))]


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

BAD = images.BAD

EXPORTED = ("example.png", "image/png", picture("L", size=(96, 32)))
