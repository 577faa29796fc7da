"""Unified social credit codes (GB 32100-2015), which are companies' tax ids: 17 characters and one that checks them."""

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # without I, O, S, V, Z
LENGTH = 18
# Groups of characters that OCR confuses. A letter that the standard excludes can only be the digit it resembles.
CONFUSABLE = ("0DQ", "8B", "6G", "1L", "4A", "KX", "UJ", "EF", "PR", "MN")
EXCLUDED_LETTERS = str.maketrans("IOSVZ", "105U2")
AREA = slice(2, 8)  # six digits: the area of registration
DIGITS = str.maketrans("ABDGLQ", "480610")


def check_character(body: str) -> str:
    """Return the check character, the 18th, of the first 17: their sum weighted by powers of 3, modulo 31.

    Raises ValueError for a character outside ALPHABET.
    """
    total = sum(ALPHABET.index(one) * 3**place for place, one in enumerate(body))
    return ALPHABET[-total % 31]


def is_valid(code: str) -> bool:
    """Return whether a code has the right length, characters and check character."""
    return len(code) == LENGTH and set(code) <= set(ALPHABET) and check_character(code[:-1]) == code[-1]


def correct_code(text: str) -> str | None:
    """Return the code in a recognized text, None if the text has not the form of a code.

    An invalid code is replaced by the only valid one that differs in one confusable character, if there is exactly one.
    """
    code = text.upper().translate(EXCLUDED_LETTERS)
    code = code[: AREA.start] + code[AREA].translate(DIGITS) + code[AREA.stop :]
    if len(code) != LENGTH or not set(code) <= set(ALPHABET):
        return None
    if is_valid(code):
        return code
    changed = {
        code[:place] + other + code[place + 1 :]
        for place, one in enumerate(code)
        if place not in range(LENGTH)[AREA]
        for group in CONFUSABLE
        if one in group
        for other in group
    }
    valid = [one for one in changed if is_valid(one)]
    return valid[0] if len(valid) == 1 else code
