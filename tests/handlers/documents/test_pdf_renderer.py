"""The program that renders PDF, called in this process: its head and pixels, page by page, and its limits."""

import io
import json
import resource
import sys

import pypdfium2
import pytest
from PIL import Image

from handlers.documents import pdf_renderer
from handlers.documents.pdf_renderer import RefusedPdfError, check_pixels, chosen_pages, render
from tests.support.samples import ENCRYPTED_PDF, pdf, small_pdf

TWO = pdf(Image.new("RGB", (72, 36), "white"), Image.new("RGB", (37, 72), "black"))


def refusal(call, *arguments) -> tuple[str, str]:
    with pytest.raises(RefusedPdfError) as refused:
        call(*arguments)
    return refused.value.field, str(refused.value)


def test_pages_are_grey_rows_without_gaps():
    head, pixels = render(TWO, 1, 0)
    assert head == {
        "pages": [
            {"number": 1, "width": 150, "height": 75, "points": [72, 36]},
            {"number": 2, "width": 78, "height": 150, "points": [37, 72]},
        ]
    }
    assert pixels == [b"\xff" * (150 * 75), pixels[1]]
    assert len(pixels[1]) == 78 * 150, "rows of 78 bytes, whatever pdfium aligns them to"
    assert set(pixels[1][78 : 78 + 77]) == {0}
    (only,) = render(TWO, 2, 2)[0]["pages"]
    assert only["number"] == 2


def test_a_form_is_drawn_with_its_values(monkeypatch):
    called = []
    monkeypatch.setattr(pypdfium2.PdfDocument, "init_forms", lambda pdf: called.append(pdf))
    render(TWO, 1, 1)
    assert len(called) == 1


def test_files_that_are_no_pdf_are_refused_with_the_reason():
    assert refusal(render, ENCRYPTED_PDF, 1, 0) == ("image", "the PDF is encrypted: remove its password")
    field, reason = refusal(render, b"%PDF-1.7", 1, 0)
    assert (field, reason.partition(": ")[0]) == ("image", "damaged PDF, or one without pages")
    field, reason = refusal(render, small_pdf(count=5), 1, 0)
    assert (field, reason.partition(": ")[0]) == ("image", "damaged PDF")


def test_pages_are_chosen_among_those_there_are():
    assert list(chosen_pages(10, 1, 0)) == list(range(1, 11))
    assert list(chosen_pages(12, 3, 12)) == list(range(3, 13))
    assert list(chosen_pages(1, 1, 1)) == [1]
    assert refusal(chosen_pages, 0, 1, 0) == ("image", "the PDF has no pages")
    assert refusal(chosen_pages, 1, 2, 2) == ("pages", "the PDF has 1 page, and no page 2")
    assert refusal(chosen_pages, 3, 2, 4) == ("pages", "the PDF has 3 pages, and no page 4")
    assert refusal(chosen_pages, 3, 4, 0) == ("pages", "the PDF has 3 pages, and no page 4")
    limit = "and a request reads at most 10: choose some, as in pages=1-10"
    assert refusal(chosen_pages, 11, 1, 0) == ("pages", f"the PDF has 11 pages, {limit}")
    assert refusal(chosen_pages, 30, 2, 12) == ("pages", f"the PDF has 30 pages, {limit}")


def test_pages_have_a_limit_of_pixels_together():
    scale = pdf_renderer.DPI / pdf_renderer.POINTS
    side = (pdf_renderer.MAX_PIXELS / 2) ** 0.5 / scale
    check_pixels([(side, side), (side * 0.999, side)])
    assert refusal(check_pixels, [(720.0, 72.0), (side, side), (side, side)]) == (
        "image",
        "the pages have 4.02e+07 pixels at 150 dpi, over the limit of 40000000: the largest is 29.81 x 29.81 inches; "
        "choose fewer or smaller pages",
    )
    assert refusal(check_pixels, [(float("nan"), 1.0)])[0] == "image"


@pytest.fixture
def run(monkeypatch, capfdbinary):
    """Function `run(data, first, last)`: what the program writes, its head and what follows; without its limits."""
    monkeypatch.setattr(pdf_renderer, "limit_resources", lambda: None)

    def of(data: bytes, first: int, last: int) -> tuple[dict, bytes]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        pdf_renderer.main(first, last)
        sys.stdout.flush()
        head, _, rest = capfdbinary.readouterr().out.partition(b"\n")
        return json.loads(head), rest

    return of


def test_the_program_writes_a_head_and_the_pixels_of_all_pages(run):
    head, pixels = render(TWO, 1, 0)
    assert run(TWO, 1, 0) == (head, b"".join(pixels))


def test_the_program_writes_what_is_refused(run, monkeypatch):
    assert run(TWO, 3, 3) == ({"field": "pages", "reason": "the PDF has 2 pages, and no page 3"}, b"")

    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(pdf_renderer, "render", exhausted)
    reason = f"the PDF takes more than {pdf_renderer.MAX_MEMORY} bytes of memory to render: choose fewer pages"
    assert run(TWO, 1, 1) == ({"field": "image", "reason": reason}, b"")

    def missing(*_):
        raise ModuleNotFoundError(name="pypdfium2")

    monkeypatch.setattr(pdf_renderer, "render", missing)
    reason = "this server reads images only, not PDF: it has no pypdfium2"
    assert run(TWO, 1, 1) == ({"field": "image", "reason": reason}, b"")


def test_the_limits_are_of_processor_time_and_memory(monkeypatch):
    limits = {}

    def refusing(kind, values):
        limits[kind] = values
        if kind == resource.RLIMIT_AS:
            raise ValueError  # as macOS does

    monkeypatch.setattr(resource, "setrlimit", refusing)
    pdf_renderer.limit_resources()
    assert limits == {resource.RLIMIT_CPU: (5, 6), resource.RLIMIT_AS: (1 << 30, 1 << 30)}
