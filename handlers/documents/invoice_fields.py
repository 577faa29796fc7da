"""Fields of an invoice from its lines: a value is behind its label or to the right of it, a cell under its header."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handlers.documents import invoice_values as values
from handlers.documents.form_layout import Box, Form, FormLine
from handlers.response import array, schema

Shape = tuple[str, Callable[[str], str | None]]  # a label, and the parser of its value

HEAD: dict[str, Shape] = {
    "invoice_code": ("发票代码", values.code),
    "invoice_number": ("发票号码", values.number),
    "date": ("开票日期", values.date),
    "check_code": ("校验码", values.check_code),
    "machine_number": ("机器编号", values.machine_number),
}
PARTY: dict[str, Shape] = {
    "name": ("名称", values.words),
    "tax_id": ("纳税人识别号", values.tax_id),
    "address_phone": ("地址、电话", values.words),
    "bank_account": ("开户行及账号", values.words),
}
TOTALS: dict[str, Shape] = {
    "total": ("（小写）", values.amount),
    "total_in_words": ("价税合计（大写）", values.in_words),
}
ITEM: dict[str, Shape] = {
    "name": ("货物或应税劳务、服务名称", values.words),
    "model": ("规格型号", values.words),
    "unit": ("单位", values.words),
    "quantity": ("数量", values.quantity),
    "price": ("单价", values.quantity),
    "amount": ("金额", values.amount),
    "rate": ("税率", values.rate),
    "tax": ("税额", values.amount),
}
SUMS, SUM, REMARKS, SIGNED = ("amount", "tax"), "合计", "备注", "收款人"
OTHERS = (SUM, REMARKS, SIGNED, "复核", "开票人", "购买方", "销售方", "密码区")
LABELS = (*(label for group in (HEAD, PARTY, TOTALS, ITEM) for label, _ in group.values()), *OTHERS)
NUMBERS = {ITEM[name][0] for name in ("quantity", "price", "amount", "rate", "tax")}  # begin an item

NULLABLE_STRING = {"type": ["string", "null"]}
SCHEMA = schema(
    **dict.fromkeys(("kind", *HEAD), NULLABLE_STRING),
    **{side: schema(**dict.fromkeys(PARTY, NULLABLE_STRING)) for side in ("buyer", "seller")},
    items=array(schema(**dict.fromkeys(ITEM, NULLABLE_STRING))),
    **dict.fromkeys((*SUMS, *TOTALS, "remarks"), NULLABLE_STRING),
)


@dataclass(frozen=True)
class Field:
    """A value, and the indices of the lines that hold it."""

    value: str
    places: tuple[int, ...]


Found = dict[str, Field]


def fields(texts: Sequence[str], boxes: Sequence[Box]) -> Found:
    """Return the fields that were found, by path, such as items.0.amount; boxes are x1, y1, x2, y2."""
    form = Form(texts, boxes, LABELS, [label for label, _ in ITEM.values()])
    titles = [line for line in form.lines if values.kind(line.text) is not None]
    found = cell("kind", titles[:1], values.kind) | labelled_fields(form, HEAD) | labelled_fields(form, TOTALS)
    tops = [head.y for head in form.headers.values()]
    total = form.find_label(TOTALS["total_in_words"][0]) or form.find_label(TOTALS["total"][0])
    ends = tops if total is None else [total.y]
    if tops or ends:  # without either the parties can't be distinguished
        found |= labelled_fields(form, PARTY, high=min(tops or ends), prefix="buyer.")
        found |= labelled_fields(form, PARTY, low=max(ends), prefix="seller.") | remarks(form, max(ends))
    if tops and total is not None:
        found |= table(form, max(tops), total.y)
    return found


def labelled_fields(
    form: Form, shapes: Mapping[str, Shape], low: float = -math.inf, high: float = math.inf, prefix: str = ""
) -> Found:
    """Return the values behind or beside their labels, between two heights."""
    found = {}
    for name, (label, value) in shapes.items():
        if (line := form.find_label(label, low, high)) is None:
            continue
        there = (line, line.rest) if line.rest else (other := form.right_of(line)) and (other, other.text)
        if there and (parsed := value(there[1])) is not None:
            found[prefix + name] = Field(parsed, (there[0].place,))
    return found


def table(form: Form, top: float, end: float) -> Found:
    """Return items and sums. A row with numbers begins an item; rows without continue its name and model."""
    last = form.find_label(SUM, top, end)
    end = end if last is None else last.y
    items: list[dict[str, list[FormLine]]] = []
    between = [line for line in form.lines if top < line.y < end]
    for row in form.rows(line for line in between if not form.same_row(line.y, top) and not form.same_row(line.y, end)):
        cells = {str(form.column(line)): line for line in row}
        if NUMBERS & cells.keys():
            items.append({})
        for label, line in cells.items() if items else ():
            items[-1].setdefault(label, []).append(line)
    found: Found = {}
    for number, item in enumerate(items):
        for name, (label, value) in ITEM.items():
            found |= cell(f"items.{number}.{name}", item.get(label, []), value)
    for line in form.lines if last else ():
        for name in SUMS:
            if form.same_row(line.y, end) and line is not last and form.column(line) == ITEM[name][0]:
                found |= cell(name, [line], values.amount)
    return found


def cell(path: str, lines: Sequence[FormLine], value: Callable[[str], str | None]) -> Found:
    """Return the field in a cell, whose lines are joined; none if its text is not a value."""
    parsed = value("".join(line.text for line in lines))
    return {} if parsed is None else {path: Field(parsed, tuple(line.place for line in lines))}


def remarks(form: Form, low: float) -> Found:
    """Return the remarks: lines to the right of the label, which may be vertical, and above the signatures."""
    marks = [line for line in form.lines if line.y > low and (line.label == REMARKS or line.text in tuple(REMARKS))]
    if not marks:
        return {}
    signed = form.find_label(SIGNED, low)
    right, high = max(mark.box[2] for mark in marks), math.inf if signed is None else signed.y
    beside = [line for line in form.lines if line.box[0] > right and low < line.y < high and line.label is None]
    beside = [line for line in beside if not form.same_row(line.y, low) and not form.same_row(line.y, high)]
    return cell("remarks", [line for row in form.rows(beside) for line in row], values.words)


def nested(found: Mapping[str, Field]) -> dict[str, Any]:
    """Return all fields as nested members of a response: null where none was found, as many items as there are."""
    count = max((int(path.split(".")[1]) + 1 for path in found if path.startswith("items.")), default=0)

    def value(path: str) -> str | None:
        return found[path].value if path in found else None

    return {
        **{name: value(name) for name in ("kind", *HEAD)},
        **{side: {name: value(f"{side}.{name}") for name in PARTY} for side in ("buyer", "seller")},
        "items": [{name: value(f"items.{number}.{name}") for name in ITEM} for number in range(count)],
        **{name: value(name) for name in (*SUMS, *TOTALS, "remarks")},
    }
