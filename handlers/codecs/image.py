"""Images: from the bytes of a file to the tensor of a network."""

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
MAX_PIXELS = 40_000_000  # a larger one is refused before it is unpacked
JPEG_BEGIN, JPEG_END = b"\xff\xd8", b"\xff\xd9"
SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def image_bytes(value: Any) -> bytes:
    """The bytes of an image that was sent raw, as a form part, or as base64 in JSON (a data: URL will do)."""
    return file_bytes(value, "image")


def open_image(data: bytes) -> Image.Image:
    """An upright 8-bit image, "L" or "RGB", transparency laid on white; raises BadRequest if it is not one."""
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_size(image)
        image = ImageOps.exif_transpose(image)  # reads the pixels, too
        return _eight_bit(image)
    except UnidentifiedImageError as fault:
        raise BadRequest("image", f"not an image, or not one of {', '.join(FORMATS)}") from fault
    except Image.DecompressionBombError as fault:
        raise BadRequest("image", str(fault)) from fault
    except (OSError, SyntaxError, ValueError) as fault:  # what Pillow raises for a file that is cut short or broken
        if isinstance(fault, BadRequest):
            raise
        raise BadRequest("image", f"damaged image: {fault}") from fault


def read_pixels(data: bytes, channels: int) -> Tensor:
    """The bytes of an image file -> (channels, H, W) of uint8, upright; raises BadRequest if it is not an image."""
    image = plain_jpeg(data, channels)  # twice as fast as Pillow, within a level or two of its pixels
    if image is None:
        array = np.array(open_image(data).convert("L" if channels == 1 else "RGB"))
        image = torch.from_numpy(array).reshape(*array.shape[:2], channels).permute(2, 0, 1)
    return image


def plain_jpeg(data: bytes, channels: int) -> Tensor | None:
    """(channels, H, W) of uint8, upright, by libjpeg-turbo; None for what is Pillow's: other formats, CMYK, and what
    is damaged, of which Pillow says more. Raises BadRequest for one that is too large.
    """
    # Without its end it was cut short, and libjpeg would fill it up with grey.
    if not (data.startswith(JPEG_BEGIN) and data.endswith(JPEG_END)):
        return None
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as header:  # reads no pixel
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
    """A square of `size` pixels in 1 (grey) or 3 (RGB) `channels`, cut from the middle after the shorter side was
    scaled to `resize` pixels (`size`, where it is None); `mean` and `std` are of values in 0..1.
    """

    size: int
    channels: int
    mean: Sequence[float]
    std: Sequence[float]
    resize: int | None = None

    def pixels(self, data: bytes) -> Tensor:
        """The bytes of an image file -> (C, size, size) of uint8: the shorter side is scaled, the middle is cut out."""
        image = read_pixels(data, self.channels)
        # Cut first: a long strip, scaled whole, would need more memory than there is.
        side, scaled = min(image.shape[1:]), self.resize or self.size
        square = center_crop(image, [side, side])
        if side != scaled:
            square = resize(square, [scaled, scaled], antialias=True)
        return center_crop(square, [self.size, self.size]).contiguous()

    def normalize(self, pixels: Tensor) -> Tensor:
        """(..., C, H, W) of uint8 -> the same shape of float32, each channel with about zero mean and unit variance."""
        scale, shift = (constant.to(pixels.device) for constant in self._line)
        return torch.addcmul(shift, pixels, scale)  # in one pass over the pixels

    def pixels_of(self, values: Tensor) -> Tensor:
        """The way back from what `normalize` gives: (..., C, H, W) of uint8."""
        scale, shift = (constant.to(values.device) for constant in self._line)
        return ((values.float() - shift) / scale).round().clamp(0, 255).to(torch.uint8)

    @cached_property
    def _line(self) -> tuple[Tensor, Tensor]:
        """(x / 255 - mean) / std as x * scale + shift, each (C, 1, 1)."""
        mean, std = (torch.tensor(moment).view(-1, 1, 1) for moment in (self.mean, self.std))
        return 1 / (255 * std), -mean / std


def png(pixels: Tensor) -> bytes:
    """(1 or 3, H, W) of uint8 -> the bytes of a PNG file."""
    array = pixels.permute(1, 2, 0).cpu().numpy()
    buffer = io.BytesIO()
    Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array).save(buffer, format="PNG")
    return buffer.getvalue()
