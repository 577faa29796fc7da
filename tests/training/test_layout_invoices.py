"""Invoices: images with a JSON beside each; and those that are drawn add up, and share nothing between the splits."""

import json
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from handlers import credit_code
from handlers.invoices import fields as fields_of
from handlers.invoices import nested
from tests.samples import picture
from training import data
from training.data.forms import draw
from training.data.invoice_content import Words, in_words, invoice
from training.data.phrases import Phrases, chinese_words
from training.data.rendering import NOTO, Face
from training.data.sheet import Sheet, scan, turned
from training.data.sources import invoices

TRUTH = {"fields": {"total": "1.00", "items": []}, "lines": [{"box": [1, 2, 30, 12], "text": "￥1.00"}]}


def write(root, truth=TRUTH, count=10):
    for split in ("train", "test"):
        (root / split).mkdir(parents=True)
        for number in range(count):
            (root / split / f"page_{number}.png").write_bytes(picture(size=(40 + number, 30)))
            (root / split / f"page_{number}.json").write_text(json.dumps(truth), encoding="utf-8")


def words(split: str) -> Words:
    place = list(invoices.OPENINGS).index(split)
    return Words(Phrases(chinese_words()[place], chinese=True), invoices.OPENINGS[split])


def test_images_and_their_truths_are_read(elsewhere):
    write(elsewhere / "mine")
    (elsewhere / "mine" / "NOTE.txt").write_text("mine")
    dataset = data.find("./mine").load()
    assert dataset.sizes == {"train": 9, "validation": 1, "test": 10}
    assert dataset.test.targets[3] == TRUTH
    assert dataset.test.inputs[3] == (elsewhere / "mine" / "test" / "page_3.png").read_bytes()
    assert dataset.note == "mine"


@pytest.mark.parametrize(
    "truth",
    [
        {"fields": {}},
        {"fields": [], "lines": []},
        {"fields": {}, "lines": [{"box": [1, 2, 3], "text": "x"}]},
        {"fields": {}, "lines": [{"box": "1234"}]},
        7,
    ],
)
def test_what_is_not_of_the_layout_is_refused(elsewhere, truth):
    write(elsewhere / "mine", truth)
    with pytest.raises(ValueError, match=r"page_0\.json"):
        data.find("./mine").load()


def test_an_image_without_truth_is_refused(elsewhere):
    write(elsewhere / "mine")
    (elsewhere / "mine" / "train" / "page_4.json").unlink()
    with pytest.raises(ValueError, match=r"page_4\.json"):
        data.find("./mine").load()


def test_sums_add_up_and_codes_check():
    random = np.random.default_rng(0)
    for _ in range(20):
        one = invoice(words("train"), random)
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
def test_sums_in_words(cents, text):
    assert in_words(cents) == text


def test_no_company_address_or_number_is_in_both_splits():
    random = np.random.default_rng(0)
    seen = {}
    for split in invoices.OPENINGS:
        pages = [invoice(words(split), random) for _ in range(60)]
        parties = [party for page in pages for party in (page["buyer"], page["seller"])]
        numbers = [page[name] for page in pages for name in ("invoice_code", "invoice_number", "check_code")]
        seen[split] = {*numbers, *(value for party in parties for value in party.values() if value)}
    assert not seen["train"] & seen["test"]
    for values in zip(*invoices.CHINESE.values(), strict=True):
        assert not set(values[0]) & set(values[1])


def test_what_is_drawn_lies_in_its_boxes_and_says_its_fields():
    random = np.random.default_rng(1)
    for _ in range(4):
        one = invoice(words("test"), random)
        sheet = draw(one, Face(NOTO, 1.0), Face(NOTO), "北京", ["王", "李", "张"], random)
        image, lines = scan(sheet, random)
        assert nested(fields_of([text for _, text in lines], [box for box, _ in lines])) == one
        pixels = np.asarray(image)
        for x1, y1, x2, y2 in (box for box, _ in lines):
            assert 0 <= x1 < x2 <= image.width
            assert 0 <= y1 < y2 <= image.height
            assert pixels[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1].min() < 170


def test_texts_end_where_they_should_and_wrap():
    sheet = Sheet(100, Face(NOTO), Face(NOTO), 20, apart=False)
    sheet.put("发票", 200, 50, align=1.0)
    ((x1, y1, x2, y2), text) = sheet.lines[0]
    assert text == "发票"
    assert (x2, (y1 + y2) / 2) == (pytest.approx(200, abs=3), pytest.approx(50, abs=3))
    assert x2 - x1 == pytest.approx(40, abs=4)
    assert sheet.wrapped("发票" * 5, 85) == ["发票发票", "发票发票", "发票"]
    assert sheet.wrapped("", 85) == [""]


def test_boxes_turn_with_the_page():
    assert turned((10, 10, 20, 30), 0, (100, 100)) == pytest.approx((10, 10, 20, 30))
    assert turned((10, 10, 20, 30), 90, (100, 100)) == pytest.approx((10, 80, 30, 90))  # counter-clockwise
