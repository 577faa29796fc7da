"""What each field of an invoice looks like: a text that was read -> the value, None for what can't be one."""

import re
from datetime import date as Date
from unicodedata import normalize

from handlers.credit_code import corrected as tax_id

__all__ = ["amount", "check_code", "code", "date", "kind", "machine_number", "number", "quantity", "rate", "tax_id"]

DIGITS = str.maketrans("ODQoIl|iZzSsB", "0000111122558")  # what is read for a digit where there can only be digits
KIND = re.compile(r"增值税电子(?:普通|专用)发票|电子发票[（(](?:普通发票|增值税专用发票)[）)]")
WORDS = re.compile(r"[零壹贰叁肆伍陆柒捌玖拾佰仟万亿元圆角分整正]+")
WIDE = str.maketrans("():", "（）：")


def _digits(text: str, *lengths: int) -> str | None:
    """The digits, if there are as many as one of `lengths`."""
    found = re.sub(r"\s", "", text).translate(DIGITS)
    return found if found.isascii() and found.isdigit() and len(found) in lengths else None


def code(text: str) -> str | None:
    return _digits(text, 10, 12)


def number(text: str) -> str | None:
    return _digits(text, 8, 20)


def check_code(text: str) -> str | None:
    return _digits(text, 20)


def machine_number(text: str) -> str | None:
    return _digits(text, 12)


def date(text: str) -> str | None:
    """2026年01月31日 -> 2026-01-31."""
    parts = re.fullmatch(r"(\d{4})年(\d{1,2})月(\d{1,2})日", text.translate(DIGITS))
    try:
        return Date(*map(int, parts.groups())).isoformat() if parts else None
    except ValueError:  # the 31st of February
        return None


def amount(text: str) -> str | None:
    """￥1,234.50 -> 1234.50."""
    found = normalize("NFKC", text).lstrip("¥Y").replace(",", "").translate(DIGITS)
    return found if re.fullmatch(r"-?\d+\.\d\d", found) else None


def quantity(text: str) -> str | None:
    """Of goods, or the price of one: with any number of decimals."""
    found = text.replace(",", "").translate(DIGITS)
    return found if re.fullmatch(r"-?\d+(\.\d+)?", found) else None


def rate(text: str) -> str | None:
    """A single character behind the digits can only be a per cent sign, however it was read."""
    if text in ("免税", "不征税"):
        return text
    found = re.fullmatch(r"(\d{1,2}(?:\.\d+)?)[^\d.]", text.translate(DIGITS))
    return f"{found[1]}%" if found else None


def in_words(text: str) -> str | None:
    found = text.lstrip("⊗×")
    return found if WORDS.fullmatch(found) else None


def kind(text: str) -> str | None:
    found = KIND.search(text)
    return found[0].translate(WIDE) if found else None


def words(text: str) -> str | None:
    return text or None
