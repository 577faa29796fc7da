"""Codec for images: from the bytes of a file to the tensor of a network."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop, resize

from handlers.codecs.image_file import read_pixels
from handlers.codecs.upload import file_bytes


def image_bytes(value: Any) -> bytes:
    """Return the bytes of an image that was sent raw, as a form part, or as base64 in JSON (also as a data: URL).

    Raises BadRequest if there are none.
    """
    return file_bytes(value, "image")


@dataclass(frozen=True)
class ImageCodec:
    """A square of `size` pixels in 1 (grey) or 3 (RGB) `channels`: the centre crop of an image whose shorter side is
    scaled to `resize` pixels (to `size` where it is None). `mean` and `std`, by channel, are of values in 0..1.
    """

    size: int
    channels: int
    mean: Sequence[float]
    std: Sequence[float]
    resize: int | None = None

    def pixels(self, data: bytes) -> Tensor:
        """Decode, scale and crop an image file to (C, size, size) of uint8. Raises BadRequest."""
        scaled = self.resize or self.size
        image = read_pixels(data, self.channels, lambda width, height: min(width, height) / scaled)
        # Crop first: a long strip, scaled whole, would need more memory than there is.
        side = min(image.shape[1:])
        square = center_crop(image, [side, side])
        if side != scaled:
            square = resize(square, [scaled, scaled], antialias=True)
        return center_crop(square, [self.size, self.size]).contiguous()

    def normalize(self, pixels: Tensor) -> Tensor:
        """Give each channel about zero mean and unit variance: (..., C, H, W), uint8 -> float32."""
        scale, shift = (constant.to(pixels.device) for constant in self._line)
        return torch.addcmul(shift, pixels, scale)  # in one pass over the pixels

    def pixels_of(self, values: Tensor) -> Tensor:
        """Invert `normalize`: (..., C, H, W), float -> uint8."""
        scale, shift = (constant.to(values.device) for constant in self._line)
        return ((values.float() - shift) / scale).round().clamp(0, 255).to(torch.uint8)

    @cached_property
    def _line(self) -> tuple[Tensor, Tensor]:
        """Scale and shift, each (C, 1, 1): (x / 255 - mean) / std = x * scale + shift."""
        mean, std = (torch.tensor(moment).view(-1, 1, 1) for moment in (self.mean, self.std))
        return 1 / (255 * std), -mean / std


def png(pixels: Tensor) -> bytes:
    """Encode (1 or 3, H, W) of uint8 as a PNG file."""
    array = pixels.permute(1, 2, 0).cpu().numpy()
    buffer = io.BytesIO()
    Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array).save(buffer, format="PNG")
    return buffer.getvalue()
