"""Images that are small to send and expensive to decode."""

import io
import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image

MEGAPIXELS_40 = (7_900, 5_060)  # just under the limit


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def large_png(size: tuple[int, int] = MEGAPIXELS_40, mode: str = "RGB") -> bytes:
    """A black PNG of 40 megapixels in about 120 kB."""
    return encoded(Image.new(mode, size), "PNG")


@cache
def large_jpeg(size: tuple[int, int] = MEGAPIXELS_40) -> bytes:
    return encoded(Image.new("RGB", size, (9, 99, 200)), "JPEG")


@cache
def many_scans(scans: int = 5_000, size: tuple[int, int] = (2_000, 2_000)) -> bytes:
    """A progressive JPEG whose last scan is repeated, each time a pass over all of its pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise).resize(size), "JPEG", progressive=True, quality=20)
    start = data.rindex(b"\xff\xda")
    # The scan's own data may be long: an empty one of a band refines nothing, and the decoder goes through it as well.
    scan = data[start:-2][:400]
    return data[:start] + scan * scans + b"\xff\xd9"


def claiming(width: int, height: int, kind: str) -> bytes:
    """A small file whose header claims another size."""
    if kind == "JPEG":
        data = bytearray(encoded(Image.new("L", (8, 8)), "JPEG"))
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", height, width)
        return bytes(data)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def broken_exif(kind: str = "WEBP") -> bytes:
    """A sound image whose EXIF block is cut in the middle of an entry."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0"
    return encoded(Image.new("RGB", (32, 32)), kind, exif=exif)
