"""Images of invoices -> their lines and their fields."""

import torch
from torch import Tensor

from handlers.codecs.invoice_lines import InvoiceCodec
from tests.support.samples import picture
from tests.tasks import text_detection
from tests.tasks.common import images

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
    return [number for line in response["lines"] for number in (*line["box"], line["confidence"], len(line["text"]))]


GOOD = text_detection.GOOD  # both tasks accept any image of a page

BAD = images.BAD

EXPORTED = ("example.png", "image/png", picture("L", size=(96, 32)))
