"""Codec for images: from the bytes of a file to the tensor of a network."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2.functional import center_crop, resize

from handlers.codecs.upload import file_bytes
from handlers.errors import BadRequest

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_PIXELS = 40_000_000  # a larger image is rejected before it is decoded
JPEG_BEGIN, JPEG_END = b"\xff\xd8", b"\xff\xd9"
SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def image_bytes(value: Any) -> bytes:
    """Return the bytes of an image that was sent raw, as a form part, or as base64 in JSON (also as a data: URL).

    Raises BadRequest if there are none.
    """
    return file_bytes(value, "image")


def open_image(data: bytes) -> Image.Image:
    """Decode an image file to an upright 8-bit image of mode "L" or "RGB", transparency laid on white.

    Raises BadRequest if the file is of none of FORMATS, damaged, or over MAX_PIXELS.
    """
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_size(image)
        image = ImageOps.exif_transpose(image)  # decodes the pixels, too
        return _eight_bit(image)
    except UnidentifiedImageError as exc:
        raise BadRequest("image", f"not an image, or not one of {', '.join(FORMATS)}") from exc
    except Image.DecompressionBombError as exc:
        raise BadRequest("image", str(exc)) from exc
    except (OSError, SyntaxError, ValueError) as exc:  # Pillow's, for a truncated or damaged file
        if isinstance(exc, BadRequest):
            raise
        raise BadRequest("image", f"damaged image: {exc}") from exc


def read_pixels(data: bytes, channels: int) -> Tensor:
    """Decode an image file to (channels, H, W) of uint8, upright. Raises BadRequest as open_image does."""
    image = plain_jpeg(data, channels)  # twice as fast as Pillow, within a level or two of its pixels
    if image is None:
        array = np.array(open_image(data).convert("L" if channels == 1 else "RGB"))
        image = torch.from_numpy(array).reshape(*array.shape[:2], channels).permute(2, 0, 1)
    return image


def plain_jpeg(data: bytes, channels: int) -> Tensor | None:
    """Decode a JPEG file with libjpeg-turbo to (channels, H, W) of uint8, upright.

    None for what is left to Pillow: other formats, CMYK, and damaged files, for which its message is more precise.
    Raises BadRequest for an image over MAX_PIXELS.
    """
    # A file without its end is truncated, and libjpeg would fill the rest with grey.
    if not (data.startswith(JPEG_BEGIN) and data.endswith(JPEG_END)):
        return None
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as header:  # decodes no pixel
            _check_size(header)
            if header.mode not in ("L", "RGB"):
                return None
        content = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        mode = ImageReadMode.GRAY if channels == 1 else ImageReadMode.RGB
        return decode_jpeg(content, mode, apply_exif_orientation=True)
    except BadRequest:
        raise
    except (RuntimeError, OSError, SyntaxError, ValueError):
        return None


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise BadRequest("image", f"{image.width} x {image.height} is over the limit of {MAX_PIXELS} pixels")


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode in SIXTEEN_BIT:
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB")


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
        image = read_pixels(data, self.channels)
        # Crop first: a long strip, scaled whole, would need more memory than there is.
        side, scaled = min(image.shape[1:]), self.resize or self.size
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
