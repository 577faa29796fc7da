"""Schemas of tables, worked out by hand: codes, features, unknown categories, and what travels in the archive."""

import json
import math
from dataclasses import asdict

import pytest
import torch
from jsonschema import validate

from handlers import codecs
from handlers.errors import BadRequest
from handlers.tables.date_column import ISO, DateColumn, parse_date
from handlers.tables.table_columns import CategoryColumn, NumberColumn, ValueRefused
from handlers.tables.table_schema import TableSchema, with_moments
from tests.tasks.tabular_prediction import BAD, GOOD, KINDS, ROW, facts, training_rows


@pytest.fixture
def schema() -> TableSchema:
    codec, _, _ = facts(None)
    return codec


def test_a_number_is_in_deviations_and_a_missing_one_the_mean_with_an_indicator():
    column = NumberColumn.fit("x", [2.0, 4.0, 6.0])
    assert (column.mean, column.std, column.missing) == (4.0, pytest.approx(math.sqrt(8 / 3)), False)
    assert column.encode(6) == [pytest.approx(2 / math.sqrt(8 / 3))]
    holed = NumberColumn.fit("x", [2.0, 4.0, 6.0, None])
    assert holed.encode(None) == [0.0, 1.0]
    assert holed.encode(4) == [0.0, 0.0]
    assert NumberColumn.fit("x", [2.0, 4.0], [None]).missing is True  # a hole in the test split alone
    constant = NumberColumn.fit("x", [0.1] * 3)
    assert constant.encode(1.1) == [pytest.approx(1.0)]


def test_ramps_rise_from_0_to_1_between_quantiles():
    schema = TableSchema.fit({"x": "number"}, [[float(n)] for n in range(101)], [], [], "y")
    (column,) = schema.columns
    assert [round(edge * column.std + column.mean, 3) for edge in column.edges] == [0, 50, 100]
    features = schema.features(schema.table([schema.codes([value]) for value in (0, 25, 50, 75, 100)]))
    torch.testing.assert_close(features[:, 1], torch.tensor([0, 0.5, 1, 1, 1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(features[:, 2], torch.tensor([0, 0, 0, 0.5, 1]), atol=1e-5, rtol=0)
    assert schema.without_ramps.tolist() == [True, False, False]
    beyond = schema.features(schema.table([schema.codes([1000]), schema.codes([-1000])]))
    assert beyond[:, 1:].tolist() == [[1, 1], [0, 0]]


def test_a_rare_category_teaches_what_an_unknown_one_means():
    column = CategoryColumn.fit("city", ["Oslo"] * 5 + ["Bergen"] * 9 + ["Voss"] * 2)
    assert (column.categories, column.other) == (["Bergen", "Oslo"], True)
    assert [column.encode(text) for text in ("Bergen", "Oslo", "Voss", "Hamar")] == [[0.0], [1.0], [2.0], [2.0]]
    assert [column.is_known(text) for text in ("Oslo", "Voss", None)] == [True, False, True]
    closed = CategoryColumn.fit("city", ["Oslo"] * 5 + [None])
    assert closed.encode(None) == [1.0]
    with pytest.raises(ValueRefused, match="unknown category 'Voss'; there are: Oslo"):
        closed.encode("Voss")
    assert CategoryColumn.fit("city", ["Oslo"] * 5, ["Voss"]).other is True  # in the test split alone


def test_of_many_categories_the_most_frequent_have_a_code():
    column = CategoryColumn.fit("n", [f"c{n}" for n in range(60) for _ in range(3 + n)])
    assert len(column.categories) == 50
    assert column.categories[0] == "c59"
    assert column.other


def test_booleans_of_json_are_the_texts_true_and_false():
    column = CategoryColumn.fit("news", ["true", "false"] * 3)
    assert column.encode(True) == column.encode("true")
    assert column.encode(False) == column.encode("false")


def test_a_date_is_days_weekday_and_month():
    column = DateColumn.fit("since", ["2020-01-01", "2020-01-03"])
    assert column.encode("2020-01-04") == [pytest.approx(2.0), 5, 0]  # a Saturday; the mean is the 2nd, deviation 1
    assert DateColumn.fit("since", ["2020-01-01", None]).encode(None) == [0.0, 1.0, -1.0, -1.0]
    times = DateColumn.fit("since", ["2020-01-01T06:00", "2020-01-03"])
    assert times.encode("2020-01-03T23:30")[1:] == [4, 0, 23]
    assert parse_date("2020-02-01T00:30:00+01:00", ISO).isoformat() == "2020-01-31T23:30:00"


def test_one_hot_vectors_lie_beside_the_numbers(schema):
    features = schema.features(schema.table([schema.codes(ROW)]))
    assert features.shape == (1, schema.width)
    only = features[0][schema.without_ramps].tolist()
    # age and its hole, visits; Oslo, Bergen, other; pro, free; days and their hole; a Saturday; February
    assert only[1] == 0
    assert only[3:8] == [1, 0, 0, 1, 0]
    assert only[9:] == [0, *(0, 0, 0, 0, 0, 1, 0), *(0, 1), *[0] * 10]


def test_attributions_are_summed_by_column(schema):
    sums = schema.by_column(torch.ones(schema.width)).tolist()
    assert sums == [sum(map(len, column.features)) for column in schema.columns]
    assert sum(sums) == schema.width


def test_a_row_by_name_and_in_order_are_the_same(schema):
    assert schema.codes(ROW) == schema.codes(list(ROW.values()))
    assert schema.codes({**ROW, "since": "2020-02-01"}) == schema.codes(ROW)
    assert schema.unknown({**ROW, "city": "Tromsø"}) == ["city"]
    assert schema.unknown(list(ROW.values())) == []


def test_a_schema_survives_the_archive(schema, tmp_path):
    codecs.save(schema, tmp_path)
    again = codecs.load(TableSchema, tmp_path)
    assert asdict(again) == json.loads(json.dumps(asdict(schema)))
    assert again.codes(ROW) == schema.codes(ROW)
    assert torch.equal(
        again.features(again.table([again.codes(ROW)])), schema.features(schema.table([schema.codes(ROW)]))
    )


def test_the_average_row_and_a_numeric_target_are_of_the_training_rows():
    schema = TableSchema.fit(KINDS, training_rows(), [], [], "price")
    codes = schema.table(map(schema.codes, training_rows()))
    fitted = with_moments(schema, codes, torch.arange(120, dtype=torch.float64))
    torch.testing.assert_close(torch.tensor(fitted.average), schema.features(codes).mean(dim=0), atol=1e-6, rtol=0)
    assert fitted.target_mean == 59.5
    assert fitted.in_units(float(fitted.standardize_target(torch.tensor(7.0)))) == pytest.approx(7.0)


def test_the_json_schema_accepts_what_the_codec_accepts(schema):
    form = schema.json_schema()
    for request in GOOD.values():
        body = request.fields["body"]
        validate(body["features"] if isinstance(body, dict) else body, form)
    assert form["oneOf"][0]["required"] == ["visits", "city", "plan"]
    assert form["oneOf"][0]["properties"]["plan"] == {"type": "string", "enum": ["pro", "free"]}
    assert form["oneOf"][0]["properties"]["age"]["type"] == ["number", "null"]
    assert "from 21.5 to 69.5 in training" in form["oneOf"][0]["properties"]["age"]["description"]


def test_the_reason_of_a_refusal_names_value_and_column(schema):
    for case, words in {
        "unknown category of a closed set": "unknown category 'gold'; there are: pro, free",
        "no such day": "not a date: '30.2.2020'; the format is %d.%m.%Y or ISO 8601",
        "date 400 years ago": "over 100 years from the dates of training, 2021-03-01 to 2021-03-28",
        "text for a number": "not a number: '41'",
        "missing plan": "missing; every row of the training data has a value here",
        "the target": "this is what is predicted; leave it out",
        "unknown column": "no such column; there are: age, visits, city, plan, since",
    }.items():
        request, _ = BAD[case]
        with pytest.raises(BadRequest, match=words.replace("(", r"\(")):
            schema.codes(request.fields["body"]["features"])
