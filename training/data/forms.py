"""The form of an invoice, filled in: where what stands."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from training.data.rendering import Face
from training.data.sheet import FORM, PAD, WIDTH, Sheet

LEFT, RIGHT, MIDDLE = 40, 1240, 810  # of the frame; between a party and what stands beside it
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


def printed(key: str, value: str) -> str:
    """As the form has it: dates in words, check codes in groups."""
    if key == "date":
        year, month, day = value.split("-")
        return f"{year}年{month}月{day}日"
    return " ".join(re.findall(".{5}", value)) if key == "check_code" else value


def draw(
    fields: dict[str, Any], chinese: Face, latin: Face, place: str, people: Sequence[str], random: np.random.Generator
) -> Sheet:
    """The whole form, upright. `place` is where the title's tax office is; three `people` sign below."""
    em = int(random.integers(18, 21))
    probe = Sheet(1, chinese, latin, em, apart=False)
    names = [probe.wrapped(item["name"], EDGES[1] - EDGES[0] - 2 * PAD) for item in fields["items"]]
    top = 190 + 4 * PITCH + 20  # of the table
    bottom = top + PITCH * (1 + sum(map(len, names))) + 24
    end = bottom + 2 * PITCH + 20  # of the table with its sums
    sheet = Sheet(end + 4 * PITCH + 100, chinese, latin, em, apart=bool(random.random() < 0.5))
    title = fields["kind"] if fields["kind"].startswith("电子") else place + fields["kind"]
    sheet.put(title, WIDTH / 2 - 60, 60, align=0.5, dark=FORM, em=em * 1.5)
    sheet.labelled("机器编号：", fields["machine_number"], LEFT, 130, LEFT + 150)
    for row, (label, key) in enumerate(HEAD):
        value = printed(key, fields[key])
        sheet.labelled(f"{label}：", value, 860, 45 + PITCH * row, 970)
    party(sheet, "购买方", fields["buyer"], 180)
    table(sheet, fields, names, top, bottom)
    sheet.rule(LEFT, bottom + PITCH + 8, RIGHT, bottom + PITCH + 8)
    sheet.labelled("价税合计（大写）", fields["total_in_words"], EDGES[0] + PAD, bottom + PITCH + 28, EDGES[1])
    sheet.labelled("（小写）", f"￥{fields['total']}", 900, bottom + PITCH + 28, 1010)
    party(sheet, "销售方", fields["seller"], end)
    for place_of, one in enumerate("备注"):
        sheet.put(one, MIDDLE + 30, end + 45 + 50 * place_of, align=0.5, dark=FORM)
    for row, piece in enumerate(sheet.wrapped(fields["remarks"] or "", RIGHT - MIDDLE - 100)):
        if piece:
            sheet.put(piece, MIDDLE + 80, end + 40 + PITCH * row)
    for label, person, x in zip(("收款人", "复核", "开票人"), people, (LEFT + 20, 400, 760), strict=True):
        sheet.labelled(f"{label}：", person, x, end + 4 * PITCH + 44, x + 110)
    sheet.frame(LEFT, 180, RIGHT, end + 4 * PITCH + 18)
    sheet.frame(LEFT, top, RIGHT, bottom + PITCH + 8)
    return sheet


def party(sheet: Sheet, side: str, fields: dict[str, Any], top: float) -> None:
    """Buyer or seller: upright words at the left, four lines beside them."""
    for place, one in enumerate(side):
        sheet.put(one, LEFT + 22, top + 30 + 36 * place, align=0.5, dark=FORM)
    for row, (label, key) in enumerate(PARTY):
        sheet.labelled(f"{label}：", fields[key], LEFT + 64, top + 24 + PITCH * row, LEFT + 200)
    sheet.rule(LEFT + 44, top, LEFT + 44, top + 4 * PITCH + 18)
    sheet.rule(MIDDLE, top, MIDDLE, top + 4 * PITCH + 18)
    sheet.rule(LEFT, top, RIGHT, top)


def table(sheet: Sheet, fields: dict[str, Any], names: Sequence[Sequence[str]], top: float, bottom: float) -> None:
    """Column heads, items, and the sums in the last row."""
    for edge in EDGES[1:-1]:
        sheet.rule(edge, top, edge, bottom + PITCH + 8)
    for head, left, right in zip(COLUMNS, EDGES, EDGES[1:], strict=False):
        sheet.put(head, (left + right) / 2, top + PITCH / 2, align=0.5, dark=FORM)
    y = top + PITCH * 1.5
    for item, pieces in zip(fields["items"], names, strict=True):
        for row, piece in enumerate(pieces):
            sheet.put(piece, EDGES[0] + PAD, y + PITCH * row)
        cells(sheet, item, MEMBERS[1:], y)
        y += PITCH * len(pieces)
    sheet.put("合计", (EDGES[0] + EDGES[1]) / 2, bottom + PITCH / 2, align=0.5, dark=FORM)
    cells(sheet, {key: f"￥{fields[key]}" for key in ("amount", "tax")}, ("amount", "tax"), bottom + PITCH / 2)


def cells(sheet: Sheet, row: dict[str, Any], keys: Sequence[str], y: float) -> None:
    """Words in the middle of their columns, numbers at the right."""
    for key in keys:
        left, right = EDGES[MEMBERS.index(key) :][:2]
        words = key in ("model", "unit", "rate")
        if row[key] is not None:
            sheet.put(row[key], (left + right) / 2 if words else right - PAD, y, align=0.5 if words else 1.0)
