"""Pages with lines of text: from the bytes of an image file to grey pixels, and from proposals to lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from handlers.codecs.image import open_image

PAD = 0  # of pages: their own pixels are above it
CELL = 16  # pixels: how wide a proposal is, and how far apart the network's cells are


@dataclass(frozen=True)
class Page:
    """`pixels` is (1, H, W) of uint8, 1 to 255; `scale` is (x, y): pixels of the image as sent for one of these."""

    pixels: Tensor
    scale: tuple[float, float]

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of the network's output that are this page's; what is beyond is padding."""
        height, width = self.pixels.shape[1:]
        return height // CELL, width // CELL

    def as_sent(self, box: Sequence[float]) -> list[float]:
        """A box on these pixels, x1, y1, x2, y2, in pixels of the image as sent, and within it."""
        height, width = self.pixels.shape[1:]
        corners = zip(box, (width, height) * 2, self.scale * 2, strict=True)
        return [round(min(max(corner, 0.0), most) * scale, 1) for corner, most, scale in corners]


@dataclass(frozen=True)
class TextPageCodec:
    """A page larger than `max_side` pixels is scaled down to it, none is scaled up; sides become multiples of 16."""

    max_side: int

    def page(self, data: bytes) -> Page:
        """The bytes of an image file -> grey pixels, in which 0 is left for padding."""
        image = open_image(data).convert("L")
        shrink = min(1.0, self.max_side / max(image.size))
        width, height = (max(CELL, CELL * round(side * shrink / CELL)) for side in image.size)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)).clip(1)
        return Page(torch.from_numpy(pixels).unsqueeze(0), (image.width / width, image.height / height))

    def normalize(self, pixels: Tensor) -> Tensor:
        """(..., H, W) of uint8 -> the same shape of float32 in 0..1."""
        return pixels / 255


def unpadded(page: Tensor) -> Tensor:
    """A page (1, H, W) out of a batch, as it was before."""
    own = page[0] != PAD
    return page[:, : int(own.any(dim=1).sum()), : int(own.any(dim=0).sum())]


def together(pages: Sequence[Tensor]) -> Tensor:
    """Pages (1, H, W) of differing sizes -> (N, 1, H, W), padded with zeros on the right and at the bottom."""
    height, width = (max(page.shape[side] for page in pages) for side in (1, 2))
    return torch.stack([pad(page, (0, width - page.shape[2], 0, height - page.shape[1])) for page in pages])
