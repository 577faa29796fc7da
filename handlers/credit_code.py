"""Unified social credit codes (GB 32100-2015), which are companies' tax ids: 17 characters and one that checks them."""

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # without I, O, S, V, Z
LENGTH = 18
# What a reader takes for each other; where the standard leaves a letter out, only the digit can be meant.
ALIKE = ("0DQ", "8B", "6G", "1L", "4A", "KX", "UJ", "EF", "PR", "MN")
MEANT = str.maketrans("IOSVZ", "105U2")
AREA = slice(2, 8)  # six digits for where it is registered
DIGITS = str.maketrans("ABDGLQ", "480610")


def check_character(body: str) -> str:
    """The 18th character for the first 17: weighted by powers of 3, modulo 31. Raises ValueError for any other."""
    total = sum(ALPHABET.index(one) * 3**place for place, one in enumerate(body))
    return ALPHABET[-total % 31]


def is_valid(code: str) -> bool:
    return len(code) == LENGTH and set(code) <= set(ALPHABET) and check_character(code[:-1]) == code[-1]


def corrected(text: str) -> str | None:
    """The code that was read: as it is if it checks, otherwise the only one that checks with one character changed for
    one like it. As it is, too, where there are none or several; None for what is not of the form of a code.
    """
    code = text.upper().translate(MEANT)
    code = code[: AREA.start] + code[AREA].translate(DIGITS) + code[AREA.stop :]
    if len(code) != LENGTH or not set(code) <= set(ALPHABET):
        return None
    if is_valid(code):
        return code
    changed = {
        code[:place] + other + code[place + 1 :]
        for place, one in enumerate(code)
        if place not in range(LENGTH)[AREA]
        for group in ALIKE
        if one in group
        for other in group
    }
    sound = [one for one in changed if is_valid(one)]
    return sound[0] if len(sound) == 1 else code
