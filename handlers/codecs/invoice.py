"""Pages of invoices, and the lines that are cut out of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers.codecs.text_line import TextLineCodec
from handlers.codecs.text_page import TextPageCodec

ROUND = (4.0, 3.0)  # pixels of paper around a line, across and down: boxes are tight
TOGETHER = 16  # lines that are read at once

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class InvoiceCodec:
    """The codecs of both parts: `max_side` is of pages, the rest of lines."""

    max_side: int
    alphabet: str
    height: int
    max_width: int

    @cached_property
    def page(self) -> TextPageCodec:
        return TextPageCodec(self.max_side)

    @cached_property
    def line(self) -> TextLineCodec:
        return TextLineCodec(self.alphabet, self.height, self.max_width)

    def ink(self, pixels: Tensor, box: Box) -> Tensor:
        """The line in its box on a page, (1, H, W) of uint8, with a little paper around it, as (W, height) of uint8."""
        height, width = pixels.shape[1:]
        x1, y1 = (max(0, min(int(box[side] - ROUND[side]), (width, height)[side] - 1)) for side in (0, 1))
        x2, y2 = (min(int(box[2 + side] + ROUND[side]) + 1, (width, height)[side]) for side in (0, 1))
        return self.line.ink_of(Image.fromarray(pixels[0, y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)].numpy()))

    def logits(self, inks: Sequence[Tensor], network: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """What the network says of lines of ink, (W, height) of uint8: (T, classes) for each. Those of about the same
        width are read together.
        """
        outputs: list[Tensor] = [torch.zeros(0)] * len(inks)
        order = sorted(range(len(inks)), key=lambda place: len(inks[place]))
        for start in range(0, len(order), TOGETHER):
            places = order[start : start + TOGETHER]
            batch = self.line.normalize(pad_sequence([inks[place] for place in places], batch_first=True))
            for place, output in zip(places, network(batch), strict=True):
                outputs[place] = output
        return outputs
