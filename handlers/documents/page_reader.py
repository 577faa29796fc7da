"""Lines of pages: detected by one network, recognized by another, and their fields extracted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from handlers.codecs.invoice_lines import Box, InvoiceCodec
from handlers.codecs.text_line import Reading
from handlers.codecs.text_page import Page, remove_padding
from handlers.documents import invoice_fields
from handlers.documents.text_proposals import TextLine, best_proposal, connect_lines

MAX_FORM_LINE_GAP = 20  # pixels; smaller than MAX_LINE_GAP, because cells of a table may be close together


@dataclass(frozen=True)
class RecognizedLine:
    """A line: `box` in pixels of the page, the detector's `score`, the reader's input `ink`, (W, height) of uint8."""

    box: Box
    score: float
    ink: Tensor
    reading: Reading

    def to_json(self, page: Page) -> dict[str, Any]:
        """Return its members of a response, the box in pixels of the image as sent."""
        confidence = round(self.reading.confidence, 6)
        return {"box": page.to_image(self.box), "text": self.reading.text, "confidence": confidence}


def detect_lines(proposals: Tensor, closest: bool = False) -> list[list[TextLine]]:
    """Return the lines of each page, from top to bottom; none where the output is not finite.

    With `closest`, a page without lines has its best proposal instead.
    """
    found = [connect_lines(output, MAX_FORM_LINE_GAP) if output.isfinite().all() else [] for output in proposals]
    return [
        lines or ([best_proposal(output)] if closest else []) for lines, output in zip(found, proposals, strict=True)
    ]


def recognize_lines(
    codec: InvoiceCodec, batch: Tensor, pages: Sequence[Sequence[TextLine]], network: Callable[[Tensor], Tensor]
) -> list[list[RecognizedLine] | Tensor]:
    """Recognize the lines of each page of the batch, (N, 1, H, W).

    A page whose logits are not all finite has those logits instead of lines.
    """
    inks = [
        [codec.ink(pixels, line.box) for pixels in [remove_padding(page)] for line in found]
        for page, found in zip((batch * 255).round().to(torch.uint8).cpu(), pages, strict=True)
    ]
    logits = iter(codec.logits([ink for cut in inks for ink in cut], network))
    results: list[list[RecognizedLine] | Tensor] = []
    for found, cut in zip(pages, inks, strict=True):
        outputs = [next(logits) for _ in found]
        parts = zip(found, cut, outputs, strict=True)
        not_finite = next((one for one in outputs if not one.isfinite().all()), None)
        if not_finite is None:
            results.append(
                [RecognizedLine(line.box, line.score, ink, codec.line.read(one)) for line, ink, one in parts]
            )
        else:
            results.append(not_finite)
    return results


def extract_fields(read: Sequence[RecognizedLine]) -> invoice_fields.Found:
    """Return the fields in the lines of one page."""
    return invoice_fields.fields([line.reading.text for line in read], [line.box for line in read])
