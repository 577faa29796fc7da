"""Codec for pages with lines of text: from the bytes of an image file to grey pixels, and boxes back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from handlers.codecs.image_file import open_sized

PAD = 0  # padding of pages, whose own pixels are above it
CELL = 16  # pixels: width of a proposal, and distance of the network's cells


@dataclass(frozen=True)
class Page:
    """A page: `pixels` (1, H, W) of uint8 in 1..255, and `scale` (x, y), pixels of the image as sent per pixel.

    Of a PDF it has a `number`, and `scale` is in points of 1/72 inch per pixel.
    """

    pixels: Tensor
    scale: tuple[float, float]
    number: int | None = None

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of the network's output that belong to this page; the rest is padding."""
        height, width = self.pixels.shape[1:]
        return height // CELL, width // CELL

    def to_image(self, box: Sequence[float]) -> list[float]:
        """Map a box, x1, y1, x2, y2, from these pixels to the image as sent, clipped to its edges."""
        height, width = self.pixels.shape[1:]
        corners = zip(box, (width, height) * 2, self.scale * 2, strict=True)
        return [round(min(max(corner, 0.0), most) * scale, 1) for corner, most, scale in corners]


@dataclass(frozen=True)
class TextPageCodec:
    """A page larger than `max_side` pixels is scaled down to it, none is scaled up; sides become multiples of CELL."""

    max_side: int

    def page(self, data: bytes) -> Page:
        """Decode an image file to grey pixels from 1 on, 0 being padding. Raises BadRequest if it is not an image."""
        return self.page_of(*open_sized(data, self.shrink))

    def shrink(self, width: int, height: int) -> float:
        """Return how many times smaller an image becomes."""
        return max(width, height) / self.max_side

    def page_of(self, image: Image.Image, size: tuple[float, float], number: int | None = None) -> Page:
        """Convert an image to a page whose boxes are in units of `size`, the image's width and height."""
        shrink = min(1.0, self.max_side / max(image.size))
        width, height = (max(CELL, CELL * round(side * shrink / CELL)) for side in image.size)
        pixels = np.asarray(image.convert("L").resize((width, height), Image.Resampling.BILINEAR)).clip(1)
        return Page(torch.from_numpy(pixels).unsqueeze(0), (size[0] / width, size[1] / height), number)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Convert (..., H, W) from uint8 to float32 in 0..1."""
        return pixels / 255


def remove_padding(page: Tensor) -> Tensor:
    """Crop a page of a batch, (1, H, W), to its own pixels."""
    own = page[0] != PAD
    return page[:, : int(own.any(dim=1).sum()), : int(own.any(dim=0).sum())]


def pad_pages(pages: Sequence[Tensor]) -> Tensor:
    """Stack pages (1, H, W) of different sizes to (N, 1, H, W), padded with zeros on the right and at the bottom."""
    height, width = (max(page.shape[side] for page in pages) for side in (1, 2))
    return torch.stack([pad(page, (0, width - page.shape[2], 0, height - page.shape[1])) for page in pages])
