"""Text from elsewhere does not control the terminal."""

import pytest

from marina.terminal import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("résumé 数 -> ok\nnext", "résumé 数 -> ok\nnext"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb\x08c\x9b2J", r"a\rb\x08c\x9b2J"),
        ("abc\u202etxt.exe", r"abc\u202etxt.exe"),
    ],
)
def test_control_characters_are_escaped(text, shown):
    assert printable(text) == shown
