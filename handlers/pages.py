"""Lines that were found on pages, read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

from handlers import invoices
from handlers.codecs.image import png
from handlers.codecs.invoice import Box, InvoiceCodec
from handlers.codecs.text_line import Reading
from handlers.codecs.text_page import Page, unpadded
from handlers.proposals import Line, best, lines

SCORE = 0.25  # of proposals, at least: scores that are learned by focal loss are modest, and a form has little else
REACH = 20  # pixels: the proposals of a line touch, and cells of a table may stand close to each other


@dataclass(frozen=True)
class ReadLine:
    """`box` is in pixels of the page, `score` the detector's; `ink` is what was read, (W, height) of uint8."""

    box: Box
    score: float
    ink: Tensor
    reading: Reading

    def named(self, page: Page) -> dict[str, Any]:
        """What a reply says of it; the box in pixels of the image as sent."""
        confidence = round(self.reading.confidence, 6)
        return {"box": page.as_sent(self.box), "text": self.reading.text, "confidence": confidence}


def find(proposals: Tensor, closest: bool = False) -> list[list[Line]]:
    """The lines of each page, from the top to the bottom; none where a number is not finite. With `closest` a page
    without any has the one proposal that comes closest.
    """
    found = [lines(output, REACH, SCORE) if output.isfinite().all() else [] for output in proposals]
    return [its or ([best(output)] if closest else []) for its, output in zip(found, proposals, strict=True)]


def read(
    codec: InvoiceCodec, batch: Tensor, pages: Sequence[Sequence[Line]], network: Callable[[Tensor], Tensor]
) -> list[list[ReadLine] | Tensor]:
    """The lines of each page of the batch, (N, 1, H, W), read; in their place the logits of one that are not finite."""
    inks = [
        [codec.ink(pixels, line.box) for pixels in [unpadded(page)] for line in found]
        for page, found in zip((batch * 255).round().to(torch.uint8).cpu(), pages, strict=True)
    ]
    logits = iter(codec.logits([ink for cut in inks for ink in cut], network))
    results: list[list[ReadLine] | Tensor] = []
    for found, cut in zip(pages, inks, strict=True):
        said = [next(logits) for _ in found]
        parts = zip(found, cut, said, strict=True)
        strange = next((one for one in said if not one.isfinite().all()), None)
        if strange is None:
            results.append([ReadLine(line.box, line.score, ink, codec.line.read(one)) for line, ink, one in parts])
        else:
            results.append(strange)
    return results


def fields(read: Sequence[ReadLine]) -> invoices.Found:
    """What the lines of one page say."""
    return invoices.fields([line.reading.text for line in read], [line.box for line in read])


def annotated(page: Page, boxes: Sequence[Box]) -> bytes:
    """A PNG of the page with the boxes in red, at the size that the network sees."""
    corners = torch.tensor(boxes).reshape(-1, 4)
    return png(draw_bounding_boxes(page.pixels.expand(3, -1, -1), corners, colors="red", width=2))
