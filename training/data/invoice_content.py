"""What invoices say: companies, goods and sums that are made up, and add up."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.credit_code import ALPHABET, check_character
from training.data.phrases import NUMERALS, Phrases, pick

Random = np.random.Generator
Fields = dict[str, Any]

KINDS = (
    "增值税电子普通发票",
    "增值税电子专用发票",
    "电子发票（普通发票）",
    "电子发票（增值税专用发票）",
)
PLACES = ("北京", "上海", "广东", "深圳", "浙江", "江苏", "杭州", "南京")
TRADES = ("科技", "贸易", "咨询", "软件", "材料", "设备", "技术服务", "电子商务")
BANKS = ("中国工商银行", "中国建设银行", "中国农业银行", "招商银行", "中国银行")
GOODS = ("办公用品", "餐饮服务", "住宿服务", "运输服务", "咨询服务", "软件", "材料", "设备", "配件", "纸张")
UNITS = ("个", "包", "箱", "台", "件", "套", "次", "张", "本")
RATES = (13, 9, 6, 3, 1)  # per cent
LETTERS = "ABCDEFGHJKLMNPQRTUWXY"  # of models: without those that a reader may take for digits, as GB 32100 has it
BLANK = 0.15  # of buyers' addresses and banks, of models and units: nothing is there


@dataclass(frozen=True)
class Words:
    """Where a split's words come from; `opening` begins all its numbers, so that none is in both splits."""

    phrases: Phrases
    opening: str

    def number(self, length: int, random: Random) -> str:
        return self.opening[random.integers(len(self.opening))] + Phrases.digits(length - 1, random)

    def name(self, random: Random) -> str:
        return self.phrases.word(random)


def company(words: Words, random: Random, whole: bool) -> Fields:
    """Name, tax id, address with phone, bank with account; without `whole` some of the last two are None."""
    place = pick(PLACES, random)
    body = "91" + words.number(6, random) + "".join(pick(ALPHABET, random) for _ in range(9))
    address = f"{place}市{words.name(random)}区{words.name(random)}路{random.integers(1, 400)}号"
    phone = f"0{Phrases.digits(2, random)}-{words.number(8, random)}"
    bank = f"{pick(BANKS, random)}{place}{words.name(random)}支行{words.number(int(random.integers(16, 20)), random)}"
    return {
        "name": f"{place}{words.name(random)}{pick(TRADES, random)}有限公司",
        "tax_id": body + check_character(body),
        "address_phone": address + phone if whole or random.random() > BLANK else None,
        "bank_account": bank if whole or random.random() > BLANK else None,
    }


def item(words: Words, random: Random) -> tuple[Fields, int, int]:
    """One line of goods, and its amount and tax in cents."""
    price = int(random.integers(100, 10 ** int(random.integers(3, 7))))
    quantity, rate = int(random.integers(1, 100)), RATES[random.integers(len(RATES))]
    amount = price * quantity
    tax = (amount * rate + 50) // 100  # rounded half up
    goods = pick(GOODS, random)
    name = "".join(words.name(random) for _ in range(random.integers(1, 5)))
    model = f"{pick(LETTERS, random)}{pick(LETTERS, random)}-{words.number(int(random.integers(2, 5)), random)}"
    fields = {
        "name": f"*{goods}*{name}",
        "model": model if random.random() > BLANK else None,
        "unit": pick(UNITS, random) if random.random() > BLANK else None,
        "quantity": str(quantity),
        "price": yuan(price),
        "amount": yuan(amount),
        "rate": f"{rate}%",
        "tax": yuan(tax),
    }
    return fields, amount, tax


def invoice(words: Words, random: Random) -> Fields:
    """The fields of one invoice, as the handler should find them; None where nothing is printed."""
    rows, amounts, taxes = zip(*(item(words, random) for _ in range(random.integers(1, 5))), strict=True)
    amount, tax = sum(amounts), sum(taxes)
    year, month, day = random.integers((2015, 1, 1), (2027, 13, 29))
    remarks = f"{words.name(random)}{words.name(random)}{words.number(6, random)}"
    return {
        "kind": pick(KINDS, random),
        "invoice_code": words.number(12, random),
        "invoice_number": words.number(8, random),
        "date": f"{year}-{month:02}-{day:02}",
        "check_code": words.number(20, random),
        "machine_number": words.number(12, random),
        "buyer": company(words, random, whole=False),
        "seller": company(words, random, whole=True),
        "items": list(rows),
        "amount": yuan(amount),
        "tax": yuan(tax),
        "total": yuan(amount + tax),
        "total_in_words": in_words(amount + tax),
        "remarks": remarks if random.random() < 0.6 else None,
    }


def yuan(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def in_words(cents: int) -> str:
    """Chinese financial numerals: 123456 -> 壹仟贰佰叁拾肆元伍角陆分."""
    whole, jiao, fen = cents // 100, cents // 10 % 10, cents % 10
    text = _whole(whole) + "元" if whole else ""
    if not jiao and not fen:
        return (text or "零元") + "整"
    text += f"{NUMERALS[jiao]}角" if jiao else ("零" if text else "")
    return text + (f"{NUMERALS[fen]}分" if fen else "整")


def _whole(number: int) -> str:
    """Groups of four digits; a gap of zeros, within a group or at its head, is said once."""
    text, gap = "", False
    for place in reversed(range(len(str(number)))):
        digit = number // 10**place % 10
        if digit:
            text += ("零" if gap and text else "") + NUMERALS[digit] + ("", "拾", "佰", "仟")[place % 4]
        gap = digit == 0
        if place % 4 == 0 and place and number // 10**place % 10_000:
            text += ("", "万", "亿")[place // 4]
    return text
