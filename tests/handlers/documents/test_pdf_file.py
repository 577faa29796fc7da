"""PDF files in requests: which pages are rendered, how, and what is refused without harm to the worker."""

import io
import subprocess
import sys

import pypdfium2
import pytest
from PIL import Image, ImageDraw

from handlers.codecs import decoding_budget
from handlers.documents import pdf_file, pdf_renderer
from handlers.errors import BadRequest, TooManyRequests
from tests.support.bare import make_request
from tests.support.samples import BASE64, ENCRYPTED_PDF, pdf, picture, small_pdf

DPI = pdf_renderer.DPI / pdf_renderer.POINTS


def page(place: int) -> Image.Image:
    """A white page of 144 x 72 points with a black square whose left edge depends on its place."""
    image = Image.new("RGB", (144, 72), "white")
    ImageDraw.Draw(image).rectangle((20 * place, 10, 20 * place + 15, 25), fill="black")
    return image


THREE = pdf(*map(page, range(3)))


def pages_of(data, pages=None):
    return pdf_file.request_pages(make_request({"body": data} | ({} if pages is None else {"pages": pages})))


def refusal(data, pages=None):
    with pytest.raises(BadRequest) as caught:
        pages_of(data, pages)
    return caught.value.field, caught.value.reason


@pytest.mark.parametrize(("pages", "numbers"), [(None, [1, 2, 3]), ("2", [2]), ("2-3", [2, 3]), ("1-1", [1])])
def test_all_pages_are_rendered_or_those_that_are_chosen(pages, numbers):
    found = pages_of(THREE, pages)
    assert [one.number for one in found] == numbers
    for one in found:
        assert (one.size, one.image.mode, one.image.size) == ((144, 72), "L", (300, 150))
        left = 20 * (one.number - 1)
        inside, outside = ((round((left + x) * DPI), round(18 * DPI)) for x in (8, 24))
        assert one.image.getpixel(inside) < 30
        assert one.image.getpixel(outside) > 225


def test_an_image_is_a_page_without_a_number():
    (one,) = pages_of(picture(size=(30, 20)))
    assert (one.number, one.size, one.image.size) == (None, (30, 20), (30, 20))
    assert refusal(picture(), "1") == ("pages", "only a PDF has pages, and this is none")


@pytest.mark.parametrize("pages", ["", "0", "0-2", "3-2", "1-", "-1", "1,2", "a", "²", "1" * 5000, "1 "])
def test_pages_are_a_number_or_a_range(pages):
    assert refusal(THREE, pages) == ("pages", "neither a page, such as 3, nor a range of pages, such as 2-4")


def test_pages_that_are_not_there_or_too_many_are_refused_with_their_number():
    assert refusal(THREE, "2-4") == ("pages", "the PDF has 3 pages, and no page 4")
    assert refusal(small_pdf(), "2") == ("pages", "the PDF has 1 page, and no page 2")
    many = pypdfium2.PdfDocument.new()
    for _ in range(pdf_renderer.MAX_PAGES + 1):
        many.new_page(10, 10)
    buffer = io.BytesIO()
    many.save(buffer)
    reason = "the PDF has 11 pages, and a request reads at most 10: choose some, as in pages=1-10"
    assert refusal(buffer.getvalue()) == ("pages", reason)
    assert len(pages_of(buffer.getvalue(), "2-11")) == 10


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (ENCRYPTED_PDF, "the PDF is encrypted: remove its password"),
        (THREE[:300], "damaged PDF, or one without pages"),
        (b"%PDF-1.7", "damaged PDF, or one without pages"),
        (small_pdf(kids=b"[]", count=0), "damaged PDF, or one without pages"),
        (small_pdf(kids=b"[2 0 R]"), "damaged PDF: Failed to load page"),
        (small_pdf(count=5), "damaged PDF: Failed to load page"),
        (
            small_pdf(box=b"0 0 14400 14400"),
            "9e+08 pixels at 150 dpi, over the limit of 40000000: the largest is 200 x",
        ),
        (small_pdf(box=b"0 0 99999999 99999999"), "over the limit of 40000000"),
    ],
    ids=["encrypted", "truncated", "head alone", "no pages", "circle", "missing pages", "200 inches", "overflow"],
)
def test_a_hostile_or_damaged_file_is_refused_with_the_reason(data, reason):
    field, message = refusal(data)
    assert field == "image"
    assert reason in message


def test_a_pdf_may_be_base64_in_json_but_no_other_text():
    assert pdf_file.request_pages(make_request(image=BASE64))[0].number is None
    with pytest.raises(BadRequest):
        pdf_file.request_pages(make_request(image="%PDF-1.4"))


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os.abort()", "the PDF can't be rendered: it is damaged, or takes too much memory"),
        ("", "the PDF can't be rendered: it is damaged, or takes too much memory"),
        ("import time; time.sleep(60)", pdf_file.TOO_SLOW),
        ("import resource as r\nr.setrlimit(r.RLIMIT_CPU, (1, 2))\nwhile True: pass", pdf_file.TOO_SLOW),
    ],
    ids=["crash", "silence", "hanging", "busy"],
)
def test_a_renderer_that_crashes_or_hangs_is_a_refusal(tmp_path, monkeypatch, program, reason):
    (tmp_path / "renderer.py").write_text(program)
    monkeypatch.setattr(pdf_file, "PROGRAM", tmp_path / "renderer.py")
    monkeypatch.setattr(pdf_file, "TIMEOUT", 0.2 if "sleep" in program else 60)
    assert refusal(THREE) == ("image", reason)


def test_the_renderer_has_a_limit_of_memory(tmp_path):
    program = (
        "import resource; from handlers.documents.pdf_renderer import *; limit_resources();"
        "print(resource.getrlimit(resource.RLIMIT_CPU)[0]); bytearray(2 << 30)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(pdf_renderer.MAX_SECONDS)
    if sys.platform == "linux":
        assert "MemoryError" in done.stderr


def test_without_pypdfium2_a_pdf_is_refused(monkeypatch, capfdbinary):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    monkeypatch.setattr(pdf_renderer, "limit_resources", lambda: None)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(THREE)))
    pdf_renderer.main(1, 0)
    sys.stdout.flush()
    assert b"this server reads images only, not PDF: it has no pypdfium2" in capfdbinary.readouterr().out


def test_pdfs_of_a_batch_share_a_budget(monkeypatch):
    monkeypatch.setattr(pdf_file, "render_pdf", lambda *_: [])
    with decoding_budget.decoding_budget():
        for _ in range(decoding_budget.BATCH_PIXELS // decoding_budget.PDF_PIXELS):
            pdf_file.request_pages(make_request({"body": small_pdf()}))
        with pytest.raises(TooManyRequests):
            pdf_file.request_pages(make_request({"body": small_pdf()}))
