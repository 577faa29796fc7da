"""PDF files in requests: which of their pages are read, and those pages as images."""

import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from handlers.codecs.decoding_budget import PDF_PIXELS, spend_pixels
from handlers.codecs.image import image_bytes
from handlers.codecs.image_file import Shrink, as_sent, open_sized
from handlers.documents import pdf_renderer
from handlers.errors import BadRequest
from handlers.request import Request

MAGIC = b"%PDF-"
PROGRAM = Path(pdf_renderer.__file__)
TIMEOUT = 3.0 * pdf_renderer.MAX_SECONDS  # seconds, on a machine whose cores are shared
TOO_SLOW = f"the PDF takes more than {pdf_renderer.MAX_SECONDS} s to render: choose fewer pages"
PAGES = re.compile(r"([1-9][0-9]{0,5})(?:-([1-9][0-9]{0,5}))?", re.ASCII)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PageImage:
    """A grey or RGB image of a page. Of a PDF it has a `number`, from 1, and its `size` in points of 1/72 inch; an
    image that was sent as one has no number, and its `size` in pixels.
    """

    image: Image.Image
    size: tuple[float, float]
    number: int | None = None


def request_pages(request: Request, shrink: Shrink = as_sent) -> list[PageImage]:
    """Return the pages of a request in `image`: an image is one page, and of a PDF all, or those of the option `pages`,
    such as 3 or 2-4. `shrink` is the codec's.

    Raises BadRequest for what `open_image` refuses, for a PDF that is damaged, encrypted, empty or over a limit of
    pdf_renderer.py, and for pages that there are not.
    """
    data, pages = image_bytes(request.field("image")), request.option("pages")
    if data.startswith(MAGIC):
        first, last = parse_pages(pages)
        spend_pixels(PDF_PIXELS, "image")
        return render_pdf(data, first, last)
    if pages is not None:
        raise BadRequest("pages", "only a PDF has pages, and this is none")
    return [PageImage(*open_sized(data, shrink))]


def parse_pages(text: str | None) -> tuple[int, int]:
    """Return the first and the last page of the option `pages`; (1, 0) stands for all. Raises BadRequest.

    >>> parse_pages("3"), parse_pages("2-4"), parse_pages(None)
    ((3, 3), (2, 4), (1, 0))
    """
    if text is None:
        return 1, 0
    found = PAGES.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last:
        raise BadRequest("pages", "neither a page, such as 3, nor a range of pages, such as 2-4")
    return first, last


def render_pdf(data: bytes, first: int, last: int) -> list[PageImage]:
    """Render pages in a process of its own, at pdf_renderer.DPI. Raises BadRequest."""
    # -P: the program's folder has modules of ours, which must not replace Python's.
    command = [sys.executable, "-P", str(PROGRAM), str(first), str(last)]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as exc:
        raise BadRequest("image", TOO_SLOW) from exc
    head, _, pixels = done.stdout.partition(b"\n")
    if done.returncode == -signal.SIGXCPU:
        raise BadRequest("image", TOO_SLOW)
    if done.returncode or not head:
        logger.warning("the PDF renderer ended with %d: %r", done.returncode, done.stderr[-500:])
        raise BadRequest("image", "the PDF can't be rendered: it is damaged, or takes too much memory")
    content = json.loads(head)
    if "reason" in content:
        raise BadRequest(content["field"], content["reason"])
    return page_images(content["pages"], pixels)


def page_images(heads: Sequence[Mapping[str, Any]], pixels: bytes) -> list[PageImage]:
    """Return the rendered pages, whose `pixels` follow one another; `heads` are of pdf_renderer.render."""
    images, start = [], 0
    for head in heads:
        end = start + head["width"] * head["height"]
        image = Image.frombytes("L", (head["width"], head["height"]), pixels[start:end])
        images.append(PageImage(image, (head["points"][0], head["points"][1]), head["number"]))
        start = end
    return images
