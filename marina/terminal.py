"""Text from elsewhere on a terminal."""


def printable(text: str) -> str:
    r"""Return the text with its control characters escaped: they would move the cursor, or hide what follows.

    Line ends stay. Characters that turn the direction of writing are escaped as well: with them a line can read
    otherwise than its bytes (CVE-2021-42574). The weakness in general is CWE-150, escape sequences that reach a
    terminal: a client's header must not clear the operator's screen.

    >>> print(printable("a\x1b[2Jb\nc"))
    a\x1b[2Jb
    c
    """
    return "".join(each if each.isprintable() or each == "\n" else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    """Return Python's escape of the character, such as \\x1b or \\u202e."""
    return character.encode("unicode_escape").decode()
