"""Rendered invoices of fictitious companies, in the form of a Chinese electronic VAT invoice, slightly rotated."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from marina.training.data.formats.document_images import NOTE_FILE
from marina.training.data.standins import StandIn
from marina.training.data.standins.synthetic_text import LICENCE, jpeg
from marina.training.data.synthesis.invoice_content import REGIONS, Vocabulary, invoice
from marina.training.data.synthesis.line_phrases import PhraseGenerator, chinese_words, choose
from marina.training.data.synthesis.page_rendering import FORM, PAD, WIDTH, Sheet, scan
from marina.training.data.synthesis.text_rendering import FONTS, NOTO, Face

ORIGIN = (
    "drawn pages, 1280 pixels wide: the form of a Chinese electronic VAT invoice, scanned a little askew, with "
    "companies, goods and sums that are made up, and add up; beside each its fields and lines. No word of a name and "
    "no long number is in both splits"
)
NOTE = (
    "All invoices are drawn, none is real, and all have one form, without a cipher area or a seal. The fonts are those "
    "trained on: test pages differ in weights, slants and widths, not in the face."
)
PAGE_COUNTS = {"train": 160, "test": 50}
OPENINGS = {"train": "13579", "test": "2468"}  # first digits of long numbers
CHINESE = {  # (weights, slants, widths) of the only face: no value is in both
    "train": ((0.0, 1.0, 2.0), (0.0, 0.0, 0.1), (0.8, 0.9, 1.0)),
    "test": ((0.5, 1.5), (0.05,), (0.85, 0.95)),
}
LATIN = ("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSans", "DejaVuSerif", "cmtt10")

LEFT, RIGHT, MIDDLE = 40, 1240, 810  # edges of the frame; the line between a party and the column at its right
EDGES = (40, 320, 460, 540, 640, 780, 940, 1040, 1240)  # of the columns
COLUMNS = ("货物或应税劳务、服务名称", "规格型号", "单位", "数量", "单价", "金额", "税率", "税额")
MEMBERS = ("name", "model", "unit", "quantity", "price", "amount", "rate", "tax")
PARTY = (
    ("名称", "name"),
    ("纳税人识别号", "tax_id"),
    ("地址、电话", "address_phone"),
    ("开户行及账号", "bank_account"),
)
HEAD = (("发票代码", "invoice_code"), ("发票号码", "invoice_number"), ("开票日期", "date"), ("校验码", "check_code"))
PITCH = 32  # pixels from line to line


def write_invoices(folder: Path) -> None:
    """Write train/ and test/: each image with a JSON file of the same name beside it."""
    (folder / NOTE_FILE).write_text(NOTE, encoding="utf-8")
    random = np.random.default_rng(0)
    for index, (split, count) in enumerate(PAGE_COUNTS.items()):
        vocabulary = Vocabulary(PhraseGenerator(chinese_words()[index], chinese=True), OPENINGS[split])
        (folder / split).mkdir()
        for number in range(count):
            fields = invoice(vocabulary, random)
            weight, slant, width = (float(random.choice(values)) for values in CHINESE[split])
            latin = Face(FONTS / f"{choose(LATIN, random)}.ttf", weight / 2, 0.0, width)
            people = [vocabulary.name(random) for _ in range(3)]
            chinese = Face(NOTO, weight, slant, width)
            sheet = fill_form(fields, chinese, latin, choose(REGIONS, random), people, random)
            image, lines = scan(sheet, random)
            rows = [{"box": [round(corner, 1) for corner in box], "text": text} for box, text in lines]
            file = folder / split / f"invoice_{number:04}.jpg"
            file.write_bytes(jpeg(image, random))
            truth = json.dumps({"fields": fields, "lines": rows}, ensure_ascii=False)
            file.with_suffix(".json").write_text(truth, encoding="utf-8")


def as_printed(key: str, value: str) -> str:
    """Return a value as the form prints it: dates with Chinese units, check codes in groups of five."""
    if key == "date":
        year, month, day = value.split("-")
        return f"{year}年{month}月{day}日"
    return " ".join(re.findall(".{5}", value)) if key == "check_code" else value


def fill_form(
    fields: dict[str, Any], chinese: Face, latin: Face, region: str, people: Sequence[str], random: np.random.Generator
) -> Sheet:
    """Draw the whole form, upright. `region` is that of the tax office in the title; three `people` sign below."""
    em = int(random.integers(18, 21))
    probe = Sheet(1, chinese, latin, em, separate=False)
    names = [probe.wrapped(item["name"], EDGES[1] - EDGES[0] - 2 * PAD) for item in fields["items"]]
    top = 190 + 4 * PITCH + 20  # of the table of items
    bottom = top + PITCH * (1 + sum(map(len, names))) + 24
    end = bottom + 2 * PITCH + 20  # of the table with its totals
    sheet = Sheet(end + 4 * PITCH + 100, chinese, latin, em, separate=bool(random.random() < 0.5))
    title = fields["kind"] if fields["kind"].startswith("电子") else region + fields["kind"]
    sheet.put(title, WIDTH / 2 - 60, 60, align=0.5, dark=FORM, em=em * 1.5)
    sheet.labelled("机器编号：", fields["machine_number"], LEFT, 130, LEFT + 150)
    for row, (label, key) in enumerate(HEAD):
        value = as_printed(key, fields[key])
        sheet.labelled(f"{label}：", value, 860, 45 + PITCH * row, 970)
    draw_party(sheet, "购买方", fields["buyer"], 180)
    draw_items(sheet, fields, names, top, bottom)
    sheet.rule(LEFT, bottom + PITCH + 8, RIGHT, bottom + PITCH + 8)
    sheet.labelled("价税合计（大写）", fields["total_in_words"], EDGES[0] + PAD, bottom + PITCH + 28, EDGES[1])
    sheet.labelled("（小写）", f"￥{fields['total']}", 900, bottom + PITCH + 28, 1010)
    draw_party(sheet, "销售方", fields["seller"], end)
    for index, character in enumerate("备注"):
        sheet.put(character, MIDDLE + 30, end + 45 + 50 * index, align=0.5, dark=FORM)
    for row, piece in enumerate(sheet.wrapped(fields["remarks"] or "", RIGHT - MIDDLE - 100)):
        if piece:
            sheet.put(piece, MIDDLE + 80, end + 40 + PITCH * row)
    for label, person, x in zip(("收款人", "复核", "开票人"), people, (LEFT + 20, 400, 760), strict=True):
        sheet.labelled(f"{label}：", person, x, end + 4 * PITCH + 44, x + 110)
    sheet.frame(LEFT, 180, RIGHT, end + 4 * PITCH + 18)
    sheet.frame(LEFT, top, RIGHT, bottom + PITCH + 8)
    return sheet


def draw_party(sheet: Sheet, side: str, fields: dict[str, Any], top: float) -> None:
    """Draw the buyer or the seller: the side in vertical writing at the left, four lines beside it."""
    for index, character in enumerate(side):
        sheet.put(character, LEFT + 22, top + 30 + 36 * index, align=0.5, dark=FORM)
    for row, (label, key) in enumerate(PARTY):
        sheet.labelled(f"{label}：", fields[key], LEFT + 64, top + 24 + PITCH * row, LEFT + 200)
    sheet.rule(LEFT + 44, top, LEFT + 44, top + 4 * PITCH + 18)
    sheet.rule(MIDDLE, top, MIDDLE, top + 4 * PITCH + 18)
    sheet.rule(LEFT, top, RIGHT, top)


def draw_items(sheet: Sheet, fields: dict[str, Any], names: Sequence[Sequence[str]], top: float, bottom: float) -> None:
    """Draw the column heads, the items, and the totals in the last row."""
    for edge in EDGES[1:-1]:
        sheet.rule(edge, top, edge, bottom + PITCH + 8)
    for head, left, right in zip(COLUMNS, EDGES, EDGES[1:], strict=False):
        sheet.put(head, (left + right) / 2, top + PITCH / 2, align=0.5, dark=FORM)
    y = top + PITCH * 1.5
    for item, pieces in zip(fields["items"], names, strict=True):
        for row, piece in enumerate(pieces):
            sheet.put(piece, EDGES[0] + PAD, y + PITCH * row)
        draw_cells(sheet, item, MEMBERS[1:], y)
        y += PITCH * len(pieces)
    sheet.put("合计", (EDGES[0] + EDGES[1]) / 2, bottom + PITCH / 2, align=0.5, dark=FORM)
    draw_cells(sheet, {key: f"￥{fields[key]}" for key in ("amount", "tax")}, ("amount", "tax"), bottom + PITCH / 2)


def draw_cells(sheet: Sheet, row: dict[str, Any], keys: Sequence[str], y: float) -> None:
    """Draw the cells of one row: words centred in their columns, numbers aligned at the right."""
    for key in keys:
        left, right = EDGES[MEMBERS.index(key) :][:2]
        centred = key in ("model", "unit", "rate")
        if row[key] is not None:
            sheet.put(row[key], (left + right) / 2 if centred else right - PAD, y, align=0.5 if centred else 1.0)


STAND_INS = {"invoices": StandIn(ORIGIN, LICENCE, write_invoices)}
