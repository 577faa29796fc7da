"""Parsers of an invoice's values: recognized text -> the value, None if it can't be one."""

import re
from datetime import date as Date
from unicodedata import normalize

from handlers.documents.credit_code import correct_code as tax_id

__all__ = ["amount", "check_code", "code", "date", "kind", "machine_number", "number", "quantity", "rate", "tax_id"]

DIGITS = str.maketrans(
    "ODQoIl|iZzSsB", "0000111122558"
)  # characters recognized for a digit where only digits are possible
KIND = re.compile(r"增值税电子(?:普通|专用)发票|电子发票[（(](?:普通发票|增值税专用发票)[）)]")
WORDS = re.compile(r"[零壹贰叁肆伍陆柒捌玖拾佰仟万亿元圆角分整正]+")
WIDE = str.maketrans("():", "（）：")


def _digits(text: str, *lengths: int) -> str | None:
    """Return the digits of a text if their number is one of `lengths`."""
    found = re.sub(r"\s", "", text).translate(DIGITS)
    return found if found.isascii() and found.isdigit() and len(found) in lengths else None


def code(text: str) -> str | None:
    """Parse an invoice code: 10 or 12 digits."""
    return _digits(text, 10, 12)


def number(text: str) -> str | None:
    """Parse an invoice number: 8 or 20 digits."""
    return _digits(text, 8, 20)


def check_code(text: str) -> str | None:
    """Parse a check code: 20 digits."""
    return _digits(text, 20)


def machine_number(text: str) -> str | None:
    """Parse a machine number: 12 digits."""
    return _digits(text, 12)


def date(text: str) -> str | None:
    """Parse a date, which must exist.

    >>> date("2026年01月31日")
    '2026-01-31'
    """
    parts = re.fullmatch(r"(\d{4})年(\d{1,2})月(\d{1,2})日", text.translate(DIGITS))
    try:
        return Date(*map(int, parts.groups())).isoformat() if parts else None
    except ValueError:  # such as the 31st of February
        return None


def amount(text: str) -> str | None:
    """Parse an amount of money with two decimals.

    >>> amount("￥1,234.50")
    '1234.50'
    """
    found = normalize("NFKC", text).lstrip("¥Y").replace(",", "").translate(DIGITS)
    return found if re.fullmatch(r"-?\d+\.\d\d", found) else None


def quantity(text: str) -> str | None:
    """Parse a quantity or a unit price: a number with any number of decimals."""
    found = text.replace(",", "").translate(DIGITS)
    return found if re.fullmatch(r"-?\d+(\.\d+)?", found) else None


def rate(text: str) -> str | None:
    """Parse a tax rate; a single character behind the digits can only be a misread per cent sign.

    >>> rate("13&")
    '13%'
    """
    if text in ("免税", "不征税"):
        return text
    found = re.fullmatch(r"(\d{1,2}(?:\.\d+)?)[^\d.]", text.translate(DIGITS))
    return f"{found[1]}%" if found else None


def in_words(text: str) -> str | None:
    """Parse an amount in Chinese numerals, without the mark in front of it."""
    found = text.lstrip("⊗×")
    return found if WORDS.fullmatch(found) else None


def kind(text: str) -> str | None:
    """Parse the title of an invoice, with full-width brackets."""
    found = KIND.search(text)
    return found[0].translate(WIDE) if found else None


def words(text: str) -> str | None:
    """Return any text as it is, None for an empty one."""
    return text or None
