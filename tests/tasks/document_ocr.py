"""Images of invoices -> their lines and their fields."""

import torch
from torch import Tensor

from handlers.codecs.invoice_lines import InvoiceCodec
from tests.support.samples import picture
from tests.tasks import text_detection

ALPHABET = "0123456789.￥元合计"
SHAPE = (3, 6, 10, 4)  # of the detector: rows and columns of cells, anchors, outputs of each


def facts(card):
    return InvoiceCodec(alphabet=ALPHABET, **card.input), {"num_classes": len(ALPHABET) + 1}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return codec.page.normalize(torch.randint(1, 256, (count, 1, 48, 96), generator=generator, dtype=torch.uint8))


def loss(network, batch) -> Tensor:
    """Return a loss of both parts, detector and recognizer; the recognizer gets strips of the pages."""
    return network(batch).square().mean() + network.reader(batch[:, :, :32]).square().mean()


def numbers(response) -> list[float]:
    lines = text_detection.all_lines(response)
    return [number for line in lines for number in (*line["box"], line["confidence"], len(line["text"]))]


GOOD = text_detection.GOOD  # both tasks accept any image of a page, and PDF

BAD = text_detection.BAD

EXPORTED = ("example.png", "image/png", picture("L", size=(96, 32)))
