"""Program that renders pages of a PDF: reads the file from stdin, writes a line of JSON and grey pixels to stdout.

pdfium, the renderer, is C++ code: a malicious file may crash it, or take all time and memory. In a process of its own,
with limits of both, such a file ends that process and not the worker. The program imports only pypdfium2 and the
standard library, and so starts in a tenth of a second.
"""

import json
import math
import resource
import sys
from contextlib import suppress
from typing import Any

DPI = 150  # an A4 page has 1240 x 1754 pixels, above the input size of the text detectors
POINTS = 72  # per inch; the unit of lengths in PDF
MAX_PAGES = 10  # rendered for one request
MAX_PIXELS = 40_000_000  # of these pages together
MAX_SECONDS = 5  # of CPU time; a worker that renders for a whole batch must stay within its response timeout
MAX_MEMORY = 1 << 30  # bytes of address space
ENCRYPTED = 4  # FPDF_ERR_PASSWORD


class RefusedPdfError(ValueError):
    """A PDF, or a choice of its pages, that is not rendered; `field` is the part of the request that is wrong."""

    def __init__(self, reason: str, field: str = "image") -> None:
        super().__init__(reason)
        self.field = field


def limit_resources() -> None:
    """Limit this process's memory and CPU time; macOS can't limit memory."""
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS + 1))  # ends with SIGXCPU, then SIGKILL
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def render(data: bytes, first: int, last: int) -> tuple[dict[str, Any], list[bytes]]:
    """Render the pages `first` to `last`, counted from 1; a `last` of 0 means the last page of the file.

    Returns the head, which is the line of JSON, {"pages": [{"number", "width", "height", "points"}, ...]}, and the grey
    pixels of each page, row by row. `points` is the page's width and height in 1/72 inch. Raises RefusedPdfError.
    """
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(data)
        pdf.init_forms()  # a form's values are drawn, too
    except pypdfium2.PdfiumError as exc:
        if getattr(exc, "err_code", None) == ENCRYPTED:
            raise RefusedPdfError("the PDF is encrypted: remove its password") from exc
        raise RefusedPdfError(f"damaged PDF, or one without pages: {exc}") from exc
    numbers = chosen_pages(len(pdf), first, last)
    try:
        pages = [pdf[number - 1] for number in numbers]
        sizes = [page.get_size() for page in pages]
        check_pixels(sizes)
        bitmaps = [page.render(scale=DPI / POINTS, grayscale=True) for page in pages]
    except pypdfium2.PdfiumError as exc:
        raise RefusedPdfError(f"damaged PDF: {exc}") from exc
    head = [
        {"number": number, "width": bitmap.width, "height": bitmap.height, "points": [width, height]}
        for number, (width, height), bitmap in zip(numbers, sizes, bitmaps, strict=True)
    ]
    return {"pages": head}, [pixel_rows(bitmap) for bitmap in bitmaps]


def pixel_rows(bitmap: Any) -> bytes:
    """Return a grey bitmap's pixels, width x height, without the padding at the end of each row."""
    rows = memoryview(bitmap.buffer).cast("B")
    return b"".join(rows[start : start + bitmap.width] for start in range(0, len(rows), bitmap.stride))


def chosen_pages(count: int, first: int, last: int) -> range:
    """Return the numbers of the pages to render of a file of `count` pages. Raises RefusedPdfError.

    >>> list(chosen_pages(5, 2, 3)), list(chosen_pages(3, 1, 0))
    ([2, 3], [1, 2, 3])
    """
    found = f"the PDF has {count} page{'s' * (count != 1)}"
    if count == 0:
        raise RefusedPdfError("the PDF has no pages")
    if max(first, last) > count:
        raise RefusedPdfError(f"{found}, and no page {max(first, last)}", "pages")
    pages = range(first, (last or count) + 1)
    if len(pages) > MAX_PAGES:
        raise RefusedPdfError(
            f"{found}, and a request reads at most {MAX_PAGES}: choose some, as in pages=1-{MAX_PAGES}", "pages"
        )
    return pages


def check_pixels(sizes: list[tuple[float, float]]) -> None:
    """Raise RefusedPdfError if the pages, of these sizes in points, have more than MAX_PIXELS together."""
    pixels = sum(math.prod(sides) for sides in sizes) * (DPI / POINTS) ** 2
    if not pixels <= MAX_PIXELS:  # nor if it is NaN
        width, height = max(sizes, key=math.prod)
        raise RefusedPdfError(
            f"the pages have {pixels:.3g} pixels at {DPI} dpi, over the limit of {MAX_PIXELS}: the largest is "
            f"{width / POINTS:.4g} x {height / POINTS:.4g} inches; choose fewer or smaller pages"
        )


def main(first: int, last: int) -> None:
    """Render the PDF on stdin. For an error that the client can correct, the head is {"field", "reason"}."""
    limit_resources()
    pixels: list[bytes] = []
    try:
        head, pixels = render(sys.stdin.buffer.read(), first, last)
    except RefusedPdfError as exc:
        head = {"field": exc.field, "reason": str(exc)}
    except ModuleNotFoundError as exc:
        head = {"field": "image", "reason": f"this server reads images only, not PDF: it has no {exc.name}"}
    except MemoryError:
        head = {
            "field": "image",
            "reason": f"the PDF takes more than {MAX_MEMORY} bytes of memory to render: choose fewer pages",
        }
    sys.stdout.buffer.writelines([json.dumps(head).encode(), b"\n", *pixels])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
