"""Pictures to send, sound ones and a bomb."""

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def picture(mode: str = "RGB", kind: str = "PNG", size: tuple[int, int] = (48, 32), **options) -> bytes:
    """The bytes of a picture of noise in the given Pillow mode and file format."""
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    image = Image.fromarray(noise, "RGBA").convert("L" if mode.startswith("I") else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes whose header claims 50,000 x 50,000."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


BASE64 = base64.b64encode(picture()).decode()


def png(image: Image.Image) -> bytes:
    """The image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def pdf(*images: Image.Image, **options: Any) -> bytes:
    """A PDF with a page for each image, of a point for each of its pixels."""
    buffer = io.BytesIO()
    images[0].save(buffer, "PDF", save_all=True, append_images=images[1:], **options)
    return buffer.getvalue()


def small_pdf(trailer: bytes = b"", box: bytes = b"0 0 99 99", kids: bytes = b"[3 0 R]", count: int = 1) -> bytes:
    """A PDF of one empty page, written by hand; `trailer` adds entries, the others replace those of the page tree."""
    return b"""%%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids%b/Count %d>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[%b]>> endobj
4 0 obj <</Filter/Standard/V 1/R 2/P -4/O(%b)/U(%b)>> endobj
trailer <</Root 1 0 R%b>>
%%%%EOF
""" % (kids, count, box, b"o" * 32, b"u" * 32, trailer)


ENCRYPTED_PDF = small_pdf(b"/Encrypt 4 0 R/ID[(0123456789abcdef)(0123456789abcdef)]")
