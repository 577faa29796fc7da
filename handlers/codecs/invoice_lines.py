"""Codec for invoices: pages, and the lines that are cropped from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers.codecs.text_line import TextLineCodec
from handlers.codecs.text_page import TextPageCodec

MARGIN = (4.0, 3.0)  # pixels of paper around a line, horizontal and vertical: boxes are tight
BATCH_SIZE = 16  # lines that are recognized at once

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class InvoiceCodec:
    """The codecs of both parts: `max_side` belongs to pages, the rest to lines."""

    max_side: int
    alphabet: str
    height: int
    max_width: int

    @cached_property
    def page(self) -> TextPageCodec:
        """The codec of whole pages."""
        return TextPageCodec(self.max_side)

    @cached_property
    def line(self) -> TextLineCodec:
        """The codec of single lines."""
        return TextLineCodec(self.alphabet, self.height, self.max_width)

    def ink(self, pixels: Tensor, box: Box) -> Tensor:
        """Crop the line in `box` from a page, (1, H, W) of uint8, with MARGIN around it: (W, height) of uint8."""
        height, width = pixels.shape[1:]
        x1, y1 = (max(0, min(int(box[side] - MARGIN[side]), (width, height)[side] - 1)) for side in (0, 1))
        x2, y2 = (min(int(box[2 + side] + MARGIN[side]) + 1, (width, height)[side]) for side in (0, 1))
        return self.line.ink_of(Image.fromarray(pixels[0, y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)].numpy()))

    def logits(self, inks: Sequence[Tensor], network: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Return the network's logits, (T, classes), for each line of ink, (W, height) of uint8.

        Lines of about the same width share a batch.
        """
        outputs: list[Tensor] = [torch.zeros(0)] * len(inks)
        order = sorted(range(len(inks)), key=lambda place: len(inks[place]))
        for start in range(0, len(order), BATCH_SIZE):
            places = order[start : start + BATCH_SIZE]
            batch = self.line.normalize(pad_sequence([inks[place] for place in places], batch_first=True))
            for place, output in zip(places, network(batch), strict=True):
                outputs[place] = output
        return outputs
