"""Companies' tax ids: the check character, and what a misread character is taken for."""

import pytest

from handlers.documents.credit_code import AREA, LENGTH, check_character, correct_code, is_valid

CODE = "91110108551385082Q"
OTHER = "91350100M000100Y43"


@pytest.mark.parametrize("code", [CODE, OTHER])
def test_the_last_character_checks_the_others(code):
    """GB 32100-2015: the sum of the first 17, each times a power of 3, and the last is a multiple of 31."""
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    assert check_character(code[:-1]) == code[-1]
    total = sum(alphabet.index(one) * 3**place for place, one in enumerate(code[:-1]))
    assert (total + alphabet.index(code[-1])) % 31 == 0
    assert is_valid(code)


@pytest.mark.parametrize("code", ["", CODE[:-1], CODE + "0", CODE.lower(), CODE[:-1] + "O", CODE[:-1] + "R"])
def test_what_is_too_short_too_long_or_of_other_characters_is_not_valid(code):
    assert not is_valid(code)


def test_a_character_outside_the_alphabet_has_no_check_character():
    with pytest.raises(ValueError, match="not found"):
        check_character("O" + CODE[1:-1])


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        (CODE.lower(), CODE),
        (CODE.replace("0", "O"), CODE),  # the standard has no O, I, S, V, Z
        (CODE.replace("5", "S"), CODE),
        (CODE.replace("2", "Z"), CODE),
        (CODE.replace("1", "I"), CODE),
        ("91110LOBSS1385082Q", CODE),
        (CODE[:2] + "LLDLDB" + CODE[8:], CODE),  # no letters in the area
    ],
)
def test_letters_that_cannot_be_meant_are_digits(read, meant):
    assert correct_code(read) == meant


def misread(code: str, place: int, other: str) -> str:
    return code[:place] + other + code[place + 1 :]


@pytest.mark.parametrize("pair", ["0D", "0Q", "8B", "6G", "1L", "4A", "KX", "UJ", "EF", "PR", "MN"])
def test_one_misread_character_is_corrected_if_that_checks_alone(pair):
    """Codes with one of a pair at the 10th place, written with the other."""
    for right, wrong in (pair, pair[::-1]):
        body = "91350100" + "M" + right + "00100Y3"
        code = body + check_character(body)
        assert is_valid(code)
        read = misread(code, 9, wrong)
        assert not is_valid(read)
        several = {other for other in others(read) if is_valid(other)}
        assert correct_code(read) == (code if several == {code} else read)
        assert code in several


def others(code: str) -> set[str]:
    """All codes that differ from this one in one character like it, by hand."""
    groups = ("0DQ", "8B", "6G", "1L", "4A", "KX", "UJ", "EF", "PR", "MN")
    return {
        misread(code, place, other)
        for place in range(LENGTH)
        if not AREA.start <= place < AREA.stop
        for group in groups
        if code[place] in group
        for other in group
    }


def test_the_first_and_the_last_character_may_be_misread_too():
    found = 0
    for number in range(300):
        for head in ("A1350100", "93350100"):
            body = head + f"M{number:04}00Y3"[:9]
            code = body + check_character(body)
            for place in (0, LENGTH - 1):
                for read in others(code):
                    if read[place] == code[place] or {other for other in others(read) if is_valid(other)} != {code}:
                        continue
                    assert correct_code(read) == code
                    found += 1
    assert found > 20


def test_the_area_is_never_changed():
    """A letter there would check; digits are all that the standard allows."""
    body = "9311B111CHTWY2357"
    lettered = body + check_character(body)
    read = misread(lettered, 4, "8")
    assert is_valid(lettered)
    assert not any(map(is_valid, others(read)))
    assert correct_code(read) == read
    assert (AREA.start, AREA.stop) == (2, 8)


@pytest.mark.parametrize("text", ["", CODE[:-1], CODE + "Q", CODE[:9] + "@" + CODE[10:], "收据"])
def test_what_is_not_of_the_form_of_a_code_is_none(text):
    assert correct_code(text) is None
