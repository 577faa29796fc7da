"""Lines to fields, without a network: forms that are written by hand, and what fields look like."""

import math
import random

import pytest

from handlers.documents import credit_code, invoice_fields, invoice_values
from handlers.documents.form_layout import match_label

HEADS = ("货物或应税劳务、服务名称", "规格型号", "单位", "数量", "单价", "金额", "税率", "税额")
MIDDLES = (180, 390, 500, 600, 710, 860, 990, 1140)
FIRST = ("*纸张*打印纸", "A4", "包", "10", "20.00", "￥200.00", "13%", "26.00")
SECOND = ("*软件*中国", None, "套", "1", "100.00", "100.00", "6%", "6.00")
BUYER, SELLER = "91110108551385082Q", "91350100M000100Y43"


def line(text, x, y):
    """Left and middle -> text and box; 20 pixels a character, 20 high."""
    return text, (x, y - 10, x + 20 * len(text), y + 10)


def row(texts, y):
    return [line(t, x - 10 * len(t), y) for t, x in zip(texts, MIDDLES, strict=True) if t is not None]


def form(remark="合同2468"):
    lines = [line("北京增值税电子普通发票", 400, 40), line("机器编号：", 40, 60), line("499098765432", 190, 60)]
    lines += [line("发票代码：011001900111", 880, 40), line("发票号码：", 880, 72), line("12345678", 1010, 72)]
    lines += [line("开票日期：2026年01月31日", 880, 104), line("校验码：12345678901234567890", 880, 136)]
    lines += [line("名称：北京中国有限公司", 100, 200), line("纳税人识别号：" + BUYER, 100, 232)]
    lines += [line("地址、电话：", 100, 264), line("开户行及账号：中国银行622", 100, 296)]
    lines += row(HEADS, 340) + row(FIRST, 372) + [line("一包五百", 60, 404)] + row(SECOND, 436)
    lines += [line("合计", 160, 480), line("￥300.00", 780, 480), line("￥32.00", 1070, 480)]
    lines += [line("价税合计（大写）", 50, 520), line("叁佰叁拾贰元整", 320, 520), line("（小写）￥332.00", 900, 520)]
    lines += [line("名称：", 100, 560), line("上海科技有限公司", 240, 560), line("纳税人识别号：" + SELLER, 100, 592)]
    lines += [line("地址、电话：上海市路1号", 100, 624), line("开户行及账号：招商银行955", 100, 656)]
    lines += [line("备", 800, 580), line("注", 800, 630), line("收款人：", 60, 700), line("王金", 170, 700)]
    lines += [line("复核：李", 400, 700), line("开票人：", 860, 700), line("张家", 970, 700)]
    return lines + ([line(remark, 860, 580), line("号", 860, 612)] if remark else [])


def read(lines):
    return invoice_fields.nested(invoice_fields.fields(*map(list, zip(*lines, strict=True))))


WHOLE = {
    "kind": "增值税电子普通发票",
    "invoice_code": "011001900111",
    "invoice_number": "12345678",
    "date": "2026-01-31",
    "check_code": "12345678901234567890",
    "machine_number": "499098765432",
    "buyer": {"name": "北京中国有限公司", "tax_id": BUYER, "address_phone": None, "bank_account": "中国银行622"},
    "seller": {
        "name": "上海科技有限公司",
        "tax_id": SELLER,
        "address_phone": "上海市路1号",
        "bank_account": "招商银行955",
    },
    "items": [
        dict(
            zip(
                invoice_fields.ITEM,
                ("*纸张*打印纸一包五百", "A4", "包", "10", "20.00", "200.00", "13%", "26.00"),
                strict=True,
            )
        ),
        dict(zip(invoice_fields.ITEM, SECOND, strict=True)),
    ],
    "amount": "300.00",
    "tax": "32.00",
    "total": "332.00",
    "total_in_words": "叁佰叁拾贰元整",
    "remarks": "合同2468号",
}


def test_every_field_of_two_items_one_with_a_wrapped_name():
    assert read(form()) == WHOLE


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_lines_does_not_matter(seed):
    lines = form()
    random.Random(seed).shuffle(lines)
    assert read(lines) == WHOLE


@pytest.mark.parametrize("degrees", [-2, -0.5, 1, 2])
def test_a_page_may_be_askew(degrees):
    slope = math.tan(math.radians(degrees))
    turned = [
        (text, (x1, y1 + slope * (x1 + x2) / 2, x2, y2 + slope * (x1 + x2) / 2)) for text, (x1, y1, x2, y2) in form()
    ]
    assert read(turned) == WHOLE


def test_no_remarks_are_null_and_who_signs_is_no_remark():
    assert read(form(remark=None)) == WHOLE | {"remarks": None}


def test_what_stands_nowhere_is_null():
    nothing = read([line("天气", 0, 0)])
    assert nothing.pop("items") == []
    parties = [value for side in ("buyer", "seller") for value in nothing.pop(side).values()]
    assert {*nothing.values(), *parties} == {None}
    assert invoice_fields.fields([], []) == {}


def test_without_table_and_total_nobody_knows_which_party_is_which():
    assert read([line("名称：北京中国有限公司", 100, 200)])["buyer"]["name"] is None


def test_a_missing_label_costs_its_own_field_alone():
    lines = [(text, box) for text, box in form() if not text.startswith("校验码")]
    assert read(lines) == WHOLE | {"check_code": None}


def test_a_field_knows_its_lines():
    lines = form()
    texts, boxes = map(list, zip(*lines, strict=True))
    found = invoice_fields.fields(texts, boxes)
    assert [texts[place] for place in found["items.0.name"].places] == ["*纸张*打印纸", "一包五百"]
    assert [texts[place] for place in found["total"].places] == ["（小写）￥332.00"]


def test_labels_may_be_misread_by_a_character_but_not_taken_for_each_other():
    assert match_label("发栗号码：123", invoice_fields.LABELS) == ("发票号码", "123")
    assert match_label("发票代码：123", invoice_fields.LABELS) == ("发票代码", "123")
    assert match_label("(小写)￥1.00", invoice_fields.LABELS) == ("（小写）", "￥1.00")
    assert match_label("中国银行", invoice_fields.LABELS) == (None, "中国银行")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("code", "O11OO19OO111", "011001900111"),
        ("code", "0110019001", "0110019001"),
        ("code", "01100190011", None),
        ("number", "1234567", None),
        ("number", "l2345678", "12345678"),
        ("number", "26112000000012345678", "26112000000012345678"),  # of a fully digital invoice
        ("check_code", "12345 67890 12345 67890", "12345678901234567890"),
        ("machine_number", "49909876543x", None),
        ("date", "2026年02月29日", None),
        ("date", "2024年02月29日", "2024-02-29"),
        ("date", "2O24年2月9日", "2024-02-09"),
        ("date", "2024-02-09", None),
        ("amount", "￥1,234.50", "1234.50"),
        ("amount", "-1234.5O", "-1234.50"),
        ("amount", "Y12.50", "12.50"),  # a misread ¥
        ("amount", "1234.5", None),
        ("quantity", "12.3893805", "12.3893805"),
        ("quantity", "1,200", "1200"),
        ("quantity", "一", None),
        ("rate", "13%", "13%"),
        ("rate", "免税", "免税"),
        ("rate", "不征税", "不征税"),
        ("rate", "9以", "9%"),  # nothing else can stand there
        ("rate", "13", None),
        ("rate", "13%x", None),
        ("in_words", "⊗壹佰元整", "壹佰元整"),
        ("in_words", "×壹佰元整", "壹佰元整"),
        ("in_words", "一百元", None),
        ("kind", "深圳电子发票(普通发票)", "电子发票（普通发票）"),
        ("kind", "收据", None),
        ("words", "", None),
    ],
)
def test_what_a_value_looks_like(kind, text, value):
    assert getattr(invoice_values, kind)(text) == value


def test_credit_codes_check_and_one_misread_character_is_mended():
    assert credit_code.is_valid(BUYER)
    assert not credit_code.is_valid(BUYER[:-1] + "X")
    assert credit_code.correct_code(BUYER) == BUYER
    assert credit_code.correct_code(BUYER.replace("0", "O")) == BUYER  # the standard has no O
    assert credit_code.correct_code(BUYER.replace("8", "B", 1)) == BUYER  # nor letters for the area
    assert credit_code.correct_code(BUYER[:14] + "D" + BUYER[15:]) == BUYER  # the only one like it that checks
    assert credit_code.correct_code(BUYER[:-1]) is None
    assert credit_code.correct_code("9111010855138508@Q") is None
    wrong = "91110109551385082Q"  # 9 for 8, which are not alike: as it was read
    assert credit_code.correct_code(wrong) == wrong
