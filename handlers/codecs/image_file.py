"""Image files of clients: decoded under limits, and no larger than a network can use."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from handlers.codecs.decoding_budget import FREE_PIXELS, spend_pixels
from handlers.errors import BadRequest

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_PIXELS = 40_000_000  # a larger image is rejected before it is decoded
MAX_SCANS = 64  # of a progressive JPEG, usually ten; each is a pass over all pixels
MAX_SEGMENTS = 2_000  # of a JPEG: tables, metadata and scans
SCANS_OF_ONE_COST = 10  # that take about as long as an ordinary JPEG
JPEG_SPEED = 4  # pixels of a JPEG that are decoded in the time of one of a PNG
# An image over FREE_PIXELS is reduced while decoding if it stays this many times as large as the network's input.
MARGIN = 4
JPEG_BEGIN, JPEG_END, SCAN_BEGIN = b"\xff\xd8", b"\xff\xd9", b"\xff\xda"
JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd9\x01])(..)", re.DOTALL)
SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")
AVERAGED = ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr")  # modes whose pixels can be averaged

# How many times smaller the codec is going to make an image of this width and height. It must not depend on which of
# the two is which: an image may lie on its side.
Shrink = Callable[[int, int], float]
Size = tuple[int, int]


def as_sent(width: int, height: int) -> float:
    """Return the shrink of images that are needed as they are."""
    del width, height
    return 1.0


def reduction(shrink: float) -> int:
    """Return by what to divide the sides of an image while it is decoded: 8, 4, 2 or 1.

    >>> [reduction(shrink) for shrink in (1, 7.9, 8, 100)]
    [1, 1, 2, 8]
    """
    return next((factor for factor in (8, 4, 2) if shrink / factor >= MARGIN), 1)


def open_image(data: bytes, shrink: Shrink = as_sent) -> Image.Image:
    """Decode an image file to an upright 8-bit image of mode "L" or "RGB", transparency laid on white.

    Raises BadRequest if the file is of none of FORMATS, damaged, or over a limit.
    """
    return open_sized(data, shrink)[0]


def open_sized(data: bytes, shrink: Shrink) -> tuple[Image.Image, Size]:
    """Return the image of `open_image`, and the width and height that it has in the file."""
    with _errors_of_client():
        return _decode(*_open(data, shrink))


def read_pixels(data: bytes, channels: int, shrink: Shrink = as_sent) -> Tensor:
    """Decode an image file to (channels, H, W) of uint8, upright. Raises BadRequest as open_image does."""
    return read_sized(data, channels, shrink)[0]


def read_sized(data: bytes, channels: int, shrink: Shrink) -> tuple[Tensor, Size]:
    """Return the pixels of `read_pixels`, and the height and width that the image has in the file."""
    with _errors_of_client():
        image, factor = _open(data, shrink)
        # Twice as fast as Pillow, within a level or two of its pixels.
        pixels = plain_jpeg(image, data, channels) if factor == 1 else None
        if pixels is not None:
            return pixels, (pixels.shape[1], pixels.shape[2])
        decoded, (width, height) = _decode(image, factor)
        array = np.array(decoded.convert("L" if channels == 1 else "RGB"))
        return torch.from_numpy(array).reshape(*array.shape[:2], channels).permute(2, 0, 1), (height, width)


def plain_jpeg(image: Image.Image, data: bytes, channels: int) -> Tensor | None:
    """Decode a JPEG file with libjpeg-turbo to (channels, H, W) of uint8, upright; `image` is its header.

    None for what is left to Pillow: other formats, CMYK, and damaged files, for which its message is more precise.
    """
    # A file without its end is truncated, and libjpeg would fill the rest with grey.
    if not (data.startswith(JPEG_BEGIN) and data.endswith(JPEG_END)) or image.mode not in ("L", "RGB"):
        return None
    content = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    mode = ImageReadMode.GRAY if channels == 1 else ImageReadMode.RGB
    try:
        return decode_jpeg(content, mode, apply_exif_orientation=True)
    except RuntimeError:
        return None


@contextmanager
def _errors_of_client() -> Iterator[None]:
    """Turn what Pillow raises into BadRequest: on a damaged file that is nearly every exception there is."""
    try:
        yield
    except (BadRequest, MemoryError):
        raise
    except UnidentifiedImageError as exc:
        raise BadRequest("image", f"not an image, or not one of {', '.join(FORMATS)}") from exc
    except Image.DecompressionBombError as exc:
        raise BadRequest("image", str(exc)) from exc
    except Exception as exc:
        raise BadRequest("image", f"damaged image: {exc}") from exc


def _open(data: bytes, shrink: Shrink) -> tuple[Image.Image, int]:
    """Return the image, not yet decoded, and by what its sides are to be divided. Raises BadRequest over a limit."""
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    pixels, cost = image.width * image.height, image.width * image.height
    if pixels > MAX_PIXELS:
        raise BadRequest("image", f"{image.width} x {image.height} is over the limit of {MAX_PIXELS} pixels")
    if data.startswith(JPEG_BEGIN):
        scans = count_scans(data)
        if scans > MAX_SCANS:
            raise BadRequest("image", f"a progressive JPEG of more than {MAX_SCANS} scans, which is the limit")
        cost = pixels * (1 + scans // SCANS_OF_ONE_COST) // JPEG_SPEED
    spend_pixels(cost, "image")
    return image, reduction(shrink(image.width, image.height)) if pixels > FREE_PIXELS else 1


def count_scans(data: bytes) -> int:
    """Return the number of scans of a JPEG file, or MAX_SCANS + 1 if there are more, or too many segments."""
    found = data.count(SCAN_BEGIN)
    if found <= MAX_SCANS:  # some of these may be in metadata, such as a preview
        return found
    kinds = list(islice(_segments(data), MAX_SEGMENTS))
    return MAX_SCANS + 1 if len(kinds) == MAX_SEGMENTS else min(kinds.count(SCAN_BEGIN[1:]), MAX_SCANS + 1)


def _segments(data: bytes) -> Iterator[bytes]:
    """Yield the marker of each segment of a JPEG file."""
    place = len(JPEG_BEGIN)
    while marker := JPEG_MARKER.search(data, place):
        yield marker[1]
        place = marker.start() + 2 + max(2, int.from_bytes(marker[2], "big"))


def _decode(image: Image.Image, factor: int) -> tuple[Image.Image, Size]:
    """Decode an image whose sides are divided by `factor`; return it with the width and height in the file."""
    size = image.size
    if factor > 1:  # libjpeg leaves out what would be averaged away
        image.draft(None, (max(1, size[0] // factor), max(1, size[1] // factor)))
    on_its_side = image.getexif().get(0x0112, 1) in range(5, 9)
    ImageOps.exif_transpose(image, in_place=True)  # decodes the pixels, too
    full = size[::-1] if on_its_side else size
    if factor > 1 and image.size == full:  # no JPEG
        if image.mode not in AVERAGED or "transparency" in image.info:
            image = _eight_bit(image)
        image = image.reduce(factor)
    return _eight_bit(image), full


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode in SIXTEEN_BIT:
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB")
