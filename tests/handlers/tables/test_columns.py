"""Columns of a table at their limits: the largest number, the longest text, a time of day, a hole in another split."""

import pytest

from handlers.errors import BadRequest
from handlers.tables.date_column import ISO, DateColumn, days, parse_date
from handlers.tables.pipeline_columns import LARGEST, LARGEST_WHOLE, TEXT_BYTES, RawNumber, RawText
from handlers.tables.table_columns import CategoryColumn, NumberColumn, ValueRefused, quantiles, shown
from handlers.tables.table_schema import TableSchema

RANGE = "not a finite number in a range that makes sense here"


def refusal(column, value) -> str:
    with pytest.raises(ValueRefused) as refused:
        column.encode(value)
    return str(refused.value)


def test_a_number_of_a_pipeline_reaches_it_as_it_is():
    number, whole = RawNumber("x", missing=True, whole=False), RawNumber("n", missing=False, whole=True)
    assert number.encode(-LARGEST) == [-LARGEST]
    assert number.encode(LARGEST) == [LARGEST]
    assert number.encode(2.5) == [2.5]
    assert number.encode(None)[0] != number.encode(None)[0], "not a number"
    assert whole.encode(-LARGEST_WHOLE) == [-LARGEST_WHOLE]
    assert whole.encode(3.0) == [3.0]
    assert refusal(number, 2 * LARGEST) == refusal(number, float("nan")) == RANGE
    assert refusal(whole, LARGEST_WHOLE + 1) == refusal(whole, -LARGEST_WHOLE - 1) == RANGE
    assert refusal(whole, 2.5) == "not a whole number: 2.5"
    assert refusal(number, "3") == "not a number: '3'"
    assert refusal(number, True) == "not a number: True"
    assert (number.json_schema, whole.json_schema) == ({"type": "number"}, {"type": "integer"})


def test_a_text_of_a_pipeline_is_its_bytes():
    text = RawText("city")
    assert text.encode("é") == [0xC3, 0xA9, *[0.0] * (TEXT_BYTES - 2)]
    assert text.encode("a" * TEXT_BYTES) == [97.0] * TEXT_BYTES
    assert text.encode("\ud800")[:2] == [63.0, 0.0], "half a surrogate pair has no UTF-8"
    assert refusal(text, "a" * (TEXT_BYTES + 1)) == refusal(text, "\x00") == f"not a text of up to {TEXT_BYTES} bytes"
    assert refusal(text, 3) == "not a text: 3"
    assert text.json_schema == {"type": "string", "maxLength": TEXT_BYTES}


def test_the_time_of_day_is_a_fraction_of_a_day():
    assert days(parse_date("1970-01-02", ISO)) == 1
    assert days(parse_date("1970-01-01T06:00", ISO)) == 0.25
    assert days(parse_date("1970-01-01T00:36", ISO)) == pytest.approx(0.025)
    assert days(parse_date("1970-01-01T00:00:36", ISO)) == pytest.approx(36 / 86400)


def test_dates_beyond_training_widen_its_range_and_its_format_is_theirs():
    column = DateColumn.fit("d", ["1.2.2020", None], ["3.4.2030"], "%d.%m.%Y")
    assert (column.minimum, column.maximum, column.missing, column.time) == ("2020-02-01", "2030-04-03", True, False)
    assert DateColumn.fit("d", ["1.2.2020"], [None], "%d.%m.%Y").missing is True
    timed = DateColumn.fit("d", ["2020-02-01"], ["2020-02-01T10:00"])
    assert timed.time is True
    assert refusal(column, 20200201) == "not a date as text: 20200201"
    assert refusal(column, "1.2.2131").startswith("over 100 years from the dates of training, 2020-02-01 to 2030-04-03")
    assert len(column.encode("1.2.2130")) == 4


def test_a_column_of_dates_without_any_starts_in_1970():
    column = DateColumn.fit("d", [None])
    assert (column.minimum, column.maximum, column.mean) == ("1970-01-01", "1970-01-01", 0)


def test_ramps_of_dates_are_between_their_quantiles():
    column = DateColumn.fit("d", [f"2020-{1 + n // 28:02}-{1 + n % 28:02}" for n in range(112)])
    assert column.edges[0] * column.std + column.mean == pytest.approx(days(parse_date("2020-01-01", ISO)), abs=1e-3)
    assert column.edges[-1] * column.std + column.mean == pytest.approx(days(parse_date("2020-04-28", ISO)), abs=1e-3)


def test_ramps_need_three_different_edges():
    assert quantiles([0.0] * 100) == []
    assert quantiles([0.0] * 70 + [1.0] * 30) == []
    assert quantiles([0.0, 1.0, 2.0] * 33) == []
    assert quantiles([0.0, 1.0] * 49 + [2.0, 2.0]) != []


def test_a_number_is_accepted_below_its_limit():
    column = NumberColumn.fit("x", [100.0, 100.0], [])
    assert column.whole is True
    assert NumberColumn.fit("x", [1.0], [0.5]).whole is False
    limit = column._limit
    assert column.encode(limit - 1)
    assert refusal(column, limit) == refusal(column, -limit) == refusal(column, 10**400) == RANGE


def test_what_is_no_category_is_refused_with_those_there_are():
    column = CategoryColumn.fit("plan", ["free", "pro"] * 3)
    assert refusal(column, 3) == "not a text: 3; there are: free, pro"
    assert refusal(column, "gold") == "unknown category 'gold'; there are: free, pro"


def test_long_values_are_cut_in_messages():
    assert shown("a" * 38) == repr("a" * 38)
    assert shown("a" * 39) == "'" + "a" * 36 + "..."


@pytest.fixture
def schema() -> TableSchema:
    kinds = {"x": "number", "plan": "category"}
    rows = [[1.0, "free"], [2.0, "pro"]] * 3
    return TableSchema.fit(kinds, rows, [[None, None]], ["id"], "y")


@pytest.mark.parametrize(
    ("features", "field", "reason"),
    [
        ("x", "features", 'send {"features": {...}} with these columns: x, plan'),
        ([1.0], "features", "1 values, but 2 columns: x, plan"),
        ([1.0, "free", 3], "features", "3 values, but 2 columns: x, plan"),
        ({"x": 1, "plan": "free", "y": 3}, "features.y", "this is what is predicted; leave it out"),
        ({"x": 1, "plan": "free", "z" * 200: 3}, f"features.{'z' * 100}", "no such column; there are: x, plan"),
    ],
)
def test_a_row_of_another_form_is_refused_by_name(schema, features, field, reason):
    with pytest.raises(BadRequest) as refused:
        schema.codes(features)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_holes_of_other_splits_are_accepted_and_in_the_form(schema):
    assert schema.codes([None, None]) == [0.0, 1.0, 2.0]
    by_name, ordered = schema.json_schema()["oneOf"]
    assert by_name["properties"]["plan"] == {"type": ["string", "null"], "enum": ["free", "pro", None]}
    assert by_name["required"] == []
    assert ordered == {"type": "array", "minItems": 2, "maxItems": 2, "description": "x, plan"}
