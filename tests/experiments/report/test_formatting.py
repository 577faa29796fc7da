"""Formatting of numbers in the reports of experiments."""

import pytest

from marina.experiments.report.formatting import amount, milliseconds, percent


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (percent, None, "–"),
        (percent, 0.12345, "12.3 %"),
        (percent, 1.0, "100 %"),
        (milliseconds, None, "–"),
        (milliseconds, 0.0123456, "12.3 ms"),
        (milliseconds, 0.9994, "999 ms"),
        (milliseconds, 1.0, "1,000 ms"),
        (milliseconds, 12.3456, "12,346 ms"),
        (amount, None, "–"),
        (amount, 0.12345, "0.123"),
        (amount, -0.12345, "-0.123"),
        (amount, 999.4, "999"),
        (amount, 1000.0, "1,000"),
        (amount, -1234.5, "-1,234"),
        (amount, 0, "0"),
    ],
)
def test_numbers_have_three_significant_digits_or_are_whole(function, value, text):
    assert function(value) == text
