"""Text from elsewhere on a terminal."""


def printable(text: str) -> str:
    r"""Return the text with its control characters escaped: they would move the cursor, or hide what follows.

    Line ends stay. Characters that turn the direction of writing are escaped as well.

    >>> print(printable("a\x1b[2Jb\nc"))
    a\x1b[2Jb
    c
    """
    return "".join(each if each.isprintable() or each == "\n" else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
