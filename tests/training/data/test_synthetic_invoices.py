"""Content and rendering of the synthetic invoices: totals add up, and the splits share nothing."""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from handlers.documents import credit_code
from handlers.documents.invoice_fields import fields as fields_of
from handlers.documents.invoice_fields import nested
from marina.training.data.standins import synthetic_invoices
from marina.training.data.standins.synthetic_invoices import fill_form
from marina.training.data.synthesis.invoice_content import Vocabulary, in_words, invoice
from marina.training.data.synthesis.line_phrases import PhraseGenerator, chinese_words
from marina.training.data.synthesis.page_rendering import Sheet, rotated, scan
from marina.training.data.synthesis.text_rendering import NOTO, Face


def vocabulary(split: str) -> Vocabulary:
    index = list(synthetic_invoices.OPENINGS).index(split)
    return Vocabulary(PhraseGenerator(chinese_words()[index], chinese=True), synthetic_invoices.OPENINGS[split])


def test_totals_add_up_and_tax_ids_are_valid():
    random = np.random.default_rng(0)
    for _ in range(20):
        one = invoice(vocabulary("train"), random)
        totals = {"amount": Decimal(0), "tax": Decimal(0)}
        for item in one["items"]:
            amount, rate = Decimal(item["amount"]), Decimal(item["rate"].rstrip("%")) / 100
            assert Decimal(item["price"]) * Decimal(item["quantity"]) == amount
            assert Decimal(item["tax"]) == (amount * rate).quantize(Decimal("0.01"), ROUND_HALF_UP)
            totals = {name: total + Decimal(item[name]) for name, total in totals.items()}
        assert {name: Decimal(one[name]) for name in totals} == totals
        assert Decimal(one["total"]) == sum(totals.values())
        assert one["total_in_words"] == in_words(int(Decimal(one["total"]) * 100))
        assert credit_code.is_valid(one["buyer"]["tax_id"])


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (12345, "壹佰贰拾叁元肆角伍分"),
        (100, "壹元整"),
        (1000100, "壹万零壹元整"),
        (1010000000, "壹仟零壹拾万元整"),
        (10005, "壹佰元零伍分"),
        (10050, "壹佰元伍角整"),
        (10000001000, "壹亿零壹拾元整"),
        (5, "伍分"),
        (0, "零元整"),
    ],
)
def test_amounts_in_words(cents, text):
    assert in_words(cents) == text


def test_no_company_address_or_number_is_in_both_splits():
    random = np.random.default_rng(0)
    seen = {}
    for split in synthetic_invoices.OPENINGS:
        pages = [invoice(vocabulary(split), random) for _ in range(60)]
        parties = [party for page in pages for party in (page["buyer"], page["seller"])]
        numbers = [page[name] for page in pages for name in ("invoice_code", "invoice_number", "check_code")]
        seen[split] = {*numbers, *(value for party in parties for value in party.values() if value)}
    assert not seen["train"] & seen["test"]
    for values in zip(*synthetic_invoices.CHINESE.values(), strict=True):
        assert not set(values[0]) & set(values[1])


def test_the_handler_extracts_the_fields_from_the_lines_whose_boxes_contain_ink():
    random = np.random.default_rng(1)
    for _ in range(4):
        one = invoice(vocabulary("test"), random)
        sheet = fill_form(one, Face(NOTO, 1.0), Face(NOTO), "北京", ["王", "李", "张"], random)
        image, lines = scan(sheet, random)
        assert nested(fields_of([text for _, text in lines], [box for box, _ in lines])) == one
        pixels = np.asarray(image)
        for x1, y1, x2, y2 in (box for box, _ in lines):
            assert 0 <= x1 < x2 <= image.width
            assert 0 <= y1 < y2 <= image.height
            assert pixels[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1].min() < 170


def test_texts_are_aligned_and_wrapped():
    sheet = Sheet(100, Face(NOTO), Face(NOTO), 20, separate=False)
    sheet.put("发票", 200, 50, align=1.0)
    ((x1, y1, x2, y2), text) = sheet.lines[0]
    assert text == "发票"
    assert (x2, (y1 + y2) / 2) == (pytest.approx(200, abs=3), pytest.approx(50, abs=3))
    assert x2 - x1 == pytest.approx(40, abs=4)
    assert sheet.wrapped("发票" * 5, 85) == ["发票发票", "发票发票", "发票"]
    assert sheet.wrapped("", 85) == [""]


def test_boxes_rotate_with_the_page():
    assert rotated((10, 10, 20, 30), 0, (100, 100)) == pytest.approx((10, 10, 20, 30))
    assert rotated((10, 10, 20, 30), 90, (100, 100)) == pytest.approx((10, 80, 30, 90))  # counter-clockwise
