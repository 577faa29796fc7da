"""TableCodec: rows by position or by column name, standardization, and the errors of invalid rows."""

import math

import pytest
import torch

from handlers.codecs import load, save
from handlers.codecs.tabular import MAX_DEVIATIONS, TableCodec
from handlers.errors import BadRequest

CODEC = TableCodec(["size", "age"], [10.0, -20.0], [2.0, 4.0], "price", 100.0, 50.0)
LIMIT = MAX_DEVIATIONS * 12  # the smallest invalid size: MAX_DEVIATIONS * (standard deviation + |mean|)


def rejection(features) -> tuple[str, str]:
    """Return the field and the reason of the error that the codec raises for a row."""
    with pytest.raises(BadRequest) as caught:
        CODEC.numbers(features)
    return caught.value.field, caught.value.reason


def test_fit_computes_means_and_standard_deviations():
    x = torch.tensor([[1.0, 7.0], [2.0, 7.0], [3.0, 7.0], [6.0, 7.0]])
    codec = TableCodec.fit(("a", "b"), x, "y", torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert (codec.columns, codec.target) == (["a", "b"], "y")
    assert codec.mean == [3.0, 7.0]
    assert codec.std == pytest.approx([math.sqrt(14 / 3), 1.0])  # a constant column has deviation 1
    assert (codec.target_mean, codec.target_std) == (3.0, pytest.approx(math.sqrt(14 / 3)))
    assert TableCodec.fit(["a"], x[:, :1] / 10, "y", x[:, 0]).std == pytest.approx([math.sqrt(14 / 3) / 10])
    assert TableCodec.fit(["a"], x[:, :1], "y", torch.full((4,), 5.0)).target_std == 1.0


def test_standardize_and_its_inverse():
    assert CODEC.standardize(torch.tensor([[14.0, -20.0], [10.0, -12.0]])).tolist() == [[2.0, 0.0], [0.0, 2.0]]
    assert CODEC.standardize_target(torch.tensor([150.0, 0.0])).tolist() == [1.0, -2.0]
    assert (CODEC.unstandardize_target(1.0), CODEC.unstandardize_target(-2.0)) == (150.0, 0.0)


def test_numbers_are_given_by_position_or_by_column_name():
    assert CODEC.numbers([1, 2.5]) == [1.0, 2.5]
    assert CODEC.numbers({"age": 2.5, "size": 1}) == [1.0, 2.5]
    assert all(type(number) is float for number in CODEC.numbers([1, 2]))


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ({"size": 1}, "missing: age"),
        ({}, "missing: size, age"),
        ({"size": 1, "age": 2, "ages": 3, 7: 4}, "unknown: ages, 7"),
        ({"ages": 3}, "missing: size, age; unknown: ages"),
        ({"size": 1, "age": 2, **dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 0)}, "unknown: a, b, c, d, e, f, g, h, "
         "i, j, k, l, m, n, o, p, q, r, s, t"),
        ([1], "1 numbers, but 2 columns: size, age"),
        ([1, 2, 3], "3 numbers, but 2 columns: size, age"),
        (None, 'send {"features": ...} with 2 numbers, or an object by column name'),
        ("1,2", 'send {"features": ...} with 2 numbers, or an object by column name'),
    ],
)  # fmt: skip
def test_rows_of_the_wrong_type_or_with_wrong_columns_are_rejected(features, reason):
    assert rejection(features) == ("features", reason)


@pytest.mark.parametrize("value", ["1", None, True, [1]])
def test_the_error_of_a_value_that_is_no_number_names_its_column(value):
    assert rejection([1, value]) == ("features.age", "not a number")
    assert rejection([value, 1]) == ("features.size", "not a number")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, LIMIT, -LIMIT, 10**400, -(10**400)])
def test_values_beyond_the_limit_are_rejected(value):
    assert rejection([value, 1]) == ("features.size", "not a finite number in a range that makes sense here")


@pytest.mark.parametrize("value", [LIMIT - 1, 1 - LIMIT, int(LIMIT) - 1])
def test_values_just_within_the_limit_are_accepted(value):
    assert CODEC.numbers([value, 1]) == [float(value), 1.0]


class IntSubclass(int):
    """A number that the codec's fast path does not accept, so that each number of its row is checked by itself."""


def test_the_slow_path_returns_the_same_numbers_as_the_fast_one():
    assert CODEC.numbers([IntSubclass(3), 1]) == [3.0, 1.0]
    assert type(CODEC.numbers([IntSubclass(3), 1])[0]) is float


def test_a_codec_is_saved_as_readable_json(tmp_path):
    codec = TableCodec(["面积"], [1.0], [2.0], "价格", 0.0, 1.0)
    save(codec, tmp_path)
    assert load(TableCodec, tmp_path) == codec
    assert '\n "columns": [\n  "面积"\n ],' in (tmp_path / "codec.json").read_text(encoding="utf-8")
