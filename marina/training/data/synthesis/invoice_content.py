"""Content of synthetic invoices: fictitious companies and goods, with totals that add up."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.documents.credit_code import ALPHABET, check_character
from marina.training.data.synthesis.line_phrases import NUMERALS, PhraseGenerator, choose

Random = np.random.Generator
Fields = dict[str, Any]

KINDS = (
    "增值税电子普通发票",
    "增值税电子专用发票",
    "电子发票（普通发票）",
    "电子发票（增值税专用发票）",
)
REGIONS = ("北京", "上海", "广东", "深圳", "浙江", "江苏", "杭州", "南京")
TRADES = ("科技", "贸易", "咨询", "软件", "材料", "设备", "技术服务", "电子商务")
BANKS = ("中国工商银行", "中国建设银行", "中国农业银行", "招商银行", "中国银行")
GOODS = ("办公用品", "餐饮服务", "住宿服务", "运输服务", "咨询服务", "软件", "材料", "设备", "配件", "纸张")
UNITS = ("个", "包", "箱", "台", "件", "套", "次", "张", "本")
RATES = (13, 9, 6, 3, 1)  # per cent
LETTERS = "ABCDEFGHJKLMNPQRTUWXY"  # of models: without those that resemble digits, as in GB 32100
BLANK = 0.15  # share of empty fields: buyers' addresses and banks, models, units


@dataclass(frozen=True)
class Vocabulary:
    """Names and numbers of one split. All its numbers begin with a digit of `opening`: none is in both splits."""

    phrases: PhraseGenerator
    opening: str

    def number(self, length: int, random: Random) -> str:
        """Draw a number of so many digits."""
        return self.opening[random.integers(len(self.opening))] + PhraseGenerator.digits(length - 1, random)

    def name(self, random: Random) -> str:
        """Draw a word of the split."""
        return self.phrases.word(random)


def company(vocabulary: Vocabulary, random: Random, complete: bool) -> Fields:
    """Draw a name, tax id, address with phone, and bank with account; unless `complete`, the last two may be None."""
    region = choose(REGIONS, random)
    body = "91" + vocabulary.number(6, random) + "".join(choose(ALPHABET, random) for _ in range(9))
    address = f"{region}市{vocabulary.name(random)}区{vocabulary.name(random)}路{random.integers(1, 400)}号"
    phone = f"0{PhraseGenerator.digits(2, random)}-{vocabulary.number(8, random)}"
    branch = f"{choose(BANKS, random)}{region}{vocabulary.name(random)}支行"
    account = vocabulary.number(int(random.integers(16, 20)), random)
    return {
        "name": f"{region}{vocabulary.name(random)}{choose(TRADES, random)}有限公司",
        "tax_id": body + check_character(body),
        "address_phone": address + phone if complete or random.random() > BLANK else None,
        "bank_account": branch + account if complete or random.random() > BLANK else None,
    }


def item(vocabulary: Vocabulary, random: Random) -> tuple[Fields, int, int]:
    """Draw one line of goods; return it with its amount and tax in cents."""
    price = int(random.integers(100, 10 ** int(random.integers(3, 7))))
    quantity, rate = int(random.integers(1, 100)), RATES[random.integers(len(RATES))]
    amount = price * quantity
    tax = (amount * rate + 50) // 100  # round half up
    goods = choose(GOODS, random)
    name = "".join(vocabulary.name(random) for _ in range(random.integers(1, 5)))
    model = (
        f"{choose(LETTERS, random)}{choose(LETTERS, random)}-{vocabulary.number(int(random.integers(2, 5)), random)}"
    )
    fields = {
        "name": f"*{goods}*{name}",
        "model": model if random.random() > BLANK else None,
        "unit": choose(UNITS, random) if random.random() > BLANK else None,
        "quantity": str(quantity),
        "price": yuan(price),
        "amount": yuan(amount),
        "rate": f"{rate}%",
        "tax": yuan(tax),
    }
    return fields, amount, tax


def invoice(vocabulary: Vocabulary, random: Random) -> Fields:
    """Draw the fields of one invoice, as the handler should extract them; None where nothing is printed."""
    rows, amounts, taxes = zip(*(item(vocabulary, random) for _ in range(random.integers(1, 5))), strict=True)
    amount, tax = sum(amounts), sum(taxes)
    year, month, day = random.integers((2015, 1, 1), (2027, 13, 29))
    remarks = f"{vocabulary.name(random)}{vocabulary.name(random)}{vocabulary.number(6, random)}"
    return {
        "kind": choose(KINDS, random),
        "invoice_code": vocabulary.number(12, random),
        "invoice_number": vocabulary.number(8, random),
        "date": f"{year}-{month:02}-{day:02}",
        "check_code": vocabulary.number(20, random),
        "machine_number": vocabulary.number(12, random),
        "buyer": company(vocabulary, random, complete=False),
        "seller": company(vocabulary, random, complete=True),
        "items": list(rows),
        "amount": yuan(amount),
        "tax": yuan(tax),
        "total": yuan(amount + tax),
        "total_in_words": in_words(amount + tax),
        "remarks": remarks if random.random() < 0.6 else None,
    }


def yuan(cents: int) -> str:
    """Format an amount.

    >>> yuan(12305)
    '123.05'
    """
    return f"{cents // 100}.{cents % 100:02}"


def in_words(cents: int) -> str:
    """Write an amount in Chinese financial numerals.

    >>> in_words(123456)
    '壹仟贰佰叁拾肆元伍角陆分'
    """
    units, jiao, fen = cents // 100, cents // 10 % 10, cents % 10
    text = _integer(units) + "元" if units else ""
    if not jiao and not fen:
        return (text or "零元") + "整"
    text += f"{NUMERALS[jiao]}角" if jiao else ("零" if text else "")
    return text + (f"{NUMERALS[fen]}分" if fen else "整")


def _integer(number: int) -> str:
    """Groups of four digits; consecutive zeros, within a group or at its start, are written once."""
    text, gap = "", False
    for position in reversed(range(len(str(number)))):
        digit = number // 10**position % 10
        if digit:
            text += ("零" if gap and text else "") + NUMERALS[digit] + ("", "拾", "佰", "仟")[position % 4]
        gap = digit == 0
        if position % 4 == 0 and position and number // 10**position % 10_000:
            text += ("", "万", "亿")[position // 4]
    return text
