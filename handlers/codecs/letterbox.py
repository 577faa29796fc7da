"""Images, whole and undistorted, in a square: from the bytes of a file to the tensor of a detector, and boxes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torchvision.ops import clip_boxes_to_image
from torchvision.transforms.v2.functional import pad, resize

from handlers.codecs.image import ImageCodec, read_pixels


@dataclass(frozen=True)
class Letterboxed:
    """An image of any size, (height, width), within `window`, (left, top, right, bottom), of a square: `pixels` is
    (3, S, S) of uint8.
    """

    pixels: Tensor
    window: tuple[int, int, int, int]
    size: tuple[int, int]

    def to_image(self, boxes: Tensor) -> Tensor:
        """(..., 4) as x1, y1, x2, y2 in the square -> the same boxes in the image as sent, cut off at its edges."""
        return clip_boxes_to_image((boxes - self._shift) / self._scale, self.size)

    def to_square(self, boxes: Tensor) -> Tensor:
        """(..., 4) as x1, y1, x2, y2 in the image as sent -> the same boxes in the square."""
        return boxes * self._scale + self._shift

    def content(self, square: Tensor) -> Tensor:
        """(..., S, S) -> the part of it where the image is."""
        left, top, right, bottom = self.window
        return square[..., top:bottom, left:right]

    def placed(self, content: Tensor, fill: int = 0) -> Tensor:
        """(..., h, w), as `content` cuts it out -> (..., S, S), with `fill` beside it."""
        left, top, right, bottom = self.window
        side = self.pixels.shape[-1]
        return torch.nn.functional.pad(content, [left, side - right, top, side - bottom], value=fill)

    @property
    def _shift(self) -> Tensor:
        return torch.tensor([*self.window[:2], *self.window[:2]], dtype=torch.float32)

    @property
    def _scale(self) -> Tensor:
        left, top, right, bottom = self.window
        x, y = (right - left) / self.size[1], (bottom - top) / self.size[0]  # alike, but for rounding
        return torch.tensor([x, y, x, y])


@dataclass(frozen=True)
class LetterboxCodec:
    """A square of `size` pixels in RGB; `mean` and `std` are of values in 0..1. What is beside the image is filled
    with the mean colour, which normalised is zero.
    """

    size: int
    mean: Sequence[float]
    std: Sequence[float]

    def letterbox(self, data: bytes) -> Letterboxed:
        """The bytes of an image file -> the image, its longer side scaled to `size`; raises BadRequest."""
        image = read_pixels(data, 3)
        height, width = image.shape[1:]
        inner = [max(1, round(side * self.size / max(height, width))) for side in (height, width)]
        top, left = ((self.size - side) // 2 for side in inner)
        bottom, right = top + inner[0], left + inner[1]
        square = pad(
            resize(image, inner, antialias=True),
            [left, top, self.size - right, self.size - bottom],
            fill=[round(255 * channel) for channel in self.mean],
        )
        return Letterboxed(square.contiguous(), (left, top, right, bottom), (height, width))

    def normalize(self, pixels: Tensor) -> Tensor:
        """(..., 3, S, S) of uint8 -> the same shape of float32, each channel with about zero mean and unit variance."""
        return self._images.normalize(pixels)

    def pixels_of(self, values: Tensor) -> Tensor:
        """The way back from what `normalize` gives: (..., 3, H, W) of uint8."""
        return self._images.pixels_of(values)

    @cached_property
    def _images(self) -> ImageCodec:
        return ImageCodec(self.size, 3, self.mean, self.std)
