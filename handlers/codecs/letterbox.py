"""Codec for detection: images, whole and undistorted, in a square; and boxes back to the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torchvision.ops import clip_boxes_to_image
from torchvision.transforms.v2.functional import pad, resize

from handlers.codecs.image import ImageCodec
from handlers.codecs.image_file import read_sized


@dataclass(frozen=True)
class Letterboxed:
    """A square, `pixels` (3, S, S) of uint8, with an image in its `window`, (left, top, right, bottom).

    `size` is the height and width of the image as sent; `decimals` are those of boxes in a response.
    """

    decimals: ClassVar[int] = 2
    pixels: Tensor
    window: tuple[int, int, int, int]
    size: tuple[int, int]

    def to_image(self, boxes: Tensor) -> Tensor:
        """Map boxes, (..., 4) as x1, y1, x2, y2, from the square to the image as sent, clipped to its edges."""
        return clip_boxes_to_image((boxes - self._shift) / self._scale, self.size)

    def to_square(self, boxes: Tensor) -> Tensor:
        """Map boxes, (..., 4) as x1, y1, x2, y2, from the image as sent to the square."""
        return boxes * self._scale + self._shift

    def content(self, square: Tensor) -> Tensor:
        """Crop (..., S, S) to the window."""
        left, top, right, bottom = self.window
        return square[..., top:bottom, left:right]

    def placed(self, content: Tensor, fill: int = 0) -> Tensor:
        """Invert `content`: pad (..., h, w) to (..., S, S) with `fill`."""
        left, top, right, bottom = self.window
        side = self.pixels.shape[-1]
        return torch.nn.functional.pad(content, [left, side - right, top, side - bottom], value=fill)

    @property
    def _shift(self) -> Tensor:
        return torch.tensor([*self.window[:2], *self.window[:2]], dtype=torch.float32)

    @property
    def _scale(self) -> Tensor:
        left, top, right, bottom = self.window
        x, y = (right - left) / self.size[1], (bottom - top) / self.size[0]  # equal but for rounding
        return torch.tensor([x, y, x, y])


@dataclass(frozen=True)
class LetterboxCodec:
    """A square of `size` pixels in RGB; `mean` and `std`, by channel, are of values in 0..1.

    The rest of the square is filled with the mean colour, which is zero once normalized; explanations `cover` parts of
    the image with it, too.
    """

    cover: ClassVar[float] = 0.0
    size: int
    mean: Sequence[float]
    std: Sequence[float]

    def letterbox(self, data: bytes) -> Letterboxed:
        """Decode an image file and scale its longer side to `size`. Raises BadRequest if it is not an image."""
        image, (height, width) = read_sized(data, 3, lambda *sides: max(sides) / self.size)
        inner = [max(1, round(side * self.size / max(height, width))) for side in (height, width)]
        top, left = ((self.size - side) // 2 for side in inner)
        bottom, right = top + inner[0], left + inner[1]
        square = pad(
            resize(image, inner, antialias=True),
            [left, top, self.size - right, self.size - bottom],
            fill=[round(255 * channel) for channel in self.mean],
        )
        return Letterboxed(square.contiguous(), (left, top, right, bottom), (height, width))

    def collate(self, images: Sequence[Tensor]) -> Tensor:
        """Return a normalized batch, (N, 3, S, S), of squares, (3, S, S) of uint8."""
        return self.normalize(torch.stack(list(images)))

    def normalize(self, pixels: Tensor) -> Tensor:
        """Give each channel about zero mean and unit variance: (..., 3, S, S), uint8 -> float32."""
        return self._images.normalize(pixels)

    def pixels_of(self, values: Tensor) -> Tensor:
        """Invert `normalize`: (..., 3, H, W), float -> uint8."""
        return self._images.pixels_of(values)

    @cached_property
    def _images(self) -> ImageCodec:
        return ImageCodec(self.size, 3, self.mean, self.std)
