"""Tables of any columns: what is found in them, and what is refused with one line."""

import bz2
import gzip
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest

from marina.training.data import find
from tests.support import table_samples

TASK = "tabular_prediction"


def lines(count: int = 60, separator: str = ",", decimal: str = ".") -> list[str]:
    """A header, and rows of a number, a category and a class."""
    made = [separator.join(("size", "colour", "label"))]
    for n in range(count):
        size = f"{n % 17}.5".replace(".", decimal)
        made.append(separator.join((size, ("red", "blue")[n % 2], ("small", "large")[n % 17 > 8])))
    return made


def load(file, target="label"):
    found = find(str(file), target)
    data = found.load(TASK)
    return data, found.summary(data)


def written(tmp_path, rows, name="t.csv", encoding="utf-8"):
    file = tmp_path / name
    file.write_bytes("\n".join(rows).encode(encoding))
    return file


def test_what_is_found_in_a_table_is_reported_in_one_line(tmp_path):
    file = table_samples.customers(tmp_path / "customers.csv", 300)
    data, summary = load(file, "churned")
    assert summary == (
        "customers.csv: csv_table, 9 columns: 3 numbers, 3 categories, 1 date, 2 ignored (customer_id: like an id or "
        "free text, another value in almost each row, country: constant); target churned: 2 classes (no, yes), "
        "216 + 24 + 60 examples (train, validation, test): test and validation held out"
    )
    assert data.columns == ("age", "income", "visits", "city", "plan", "since", "newsletter", "churned")
    assert data.kinds["since"] == "ISO 8601"
    assert data.ignored == ("customer_id", "country")
    rows = [*data.train.inputs, *data.validation.inputs, *data.test.inputs]
    ages = {type(row[0]) for row in rows}
    assert ages == {int, type(None)}
    assert {row[6] for row in rows} == {"true", "false"}
    assert {row[3] for row in rows} >= {"Tromsø", None}


def test_splits_are_the_same_on_every_read_and_keep_the_classes(tmp_path):
    file = table_samples.iris(tmp_path / "iris.csv")
    one, other = (load(file, "species")[0] for _ in range(2))
    assert [*one.test.inputs] == [*other.test.inputs]
    assert np.bincount(one.test.targets).tolist() == [10, 10, 10]


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("t.csv.gz", gzip.compress),
        ("t.csv.xz", lzma.compress),
        ("t.csv.bz2", bz2.compress),
        ("t.csv", lambda content: b"\xef\xbb\xbf" + content),
        ("t.tsv", lambda content: content.replace(b",", b"\t")),
    ],
)
def test_compressed_and_marked_files_are_read_alike(tmp_path, name, pack):
    expected = [*load(written(tmp_path, lines()))[0].train.inputs]
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / name).write_bytes(pack("\n".join(lines()).encode()))
    assert [*load(tmp_path / "packed" / name)[0].train.inputs] == expected
    assert [*load(tmp_path / "packed")[0].train.inputs] == expected  # the folder with nothing else


def test_a_zip_holds_one_table(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("inner/t.csv", "\n".join(lines()))
    assert len(load(tmp_path / "t.zip")[0].train) == 43
    with zipfile.ZipFile(tmp_path / "t.zip", "a") as archive:
        archive.writestr("u.csv", "\n".join(lines()))
    with pytest.raises(ValueError, match="holds 2 files; expected one table"):
        load(tmp_path / "t.zip")


def test_parquet_is_read_as_the_same_table(tmp_path):
    pytest.importorskip("pyarrow")
    expected, _ = load(table_samples.customers(tmp_path / "t.csv", 300), "churned")
    frame = pd.read_csv(tmp_path / "t.csv", parse_dates=["since"])
    frame.to_parquet(tmp_path / "t.parquet")
    data, summary = load(tmp_path / "t.parquet", "churned")
    assert "3 numbers, 3 categories, 1 date, 2 ignored" in summary
    assert data.kinds == expected.kinds
    assert [row[:5] for row in data.train.inputs] == [row[:5] for row in expected.train.inputs]
    assert {row[5][:10] for row in data.train.inputs} == {row[5] for row in expected.train.inputs}
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    with pytest.raises(ValueError, match="is no Parquet file"):
        load(tmp_path / "t.parquet", "churned")


def test_semicolons_and_decimal_commas_are_found_and_reported(tmp_path):
    data, summary = load(written(tmp_path, lines(separator=";", decimal=",")))
    assert "separated by semicolons; decimal commas" in summary
    assert data.kinds == {"size": "number", "colour": "category"}
    assert max(row[0] for row in data.train.inputs) == 16.5


def test_rows_without_a_target_and_wrong_cells_are_left_out_and_reported(tmp_path):
    rows = lines(200)
    rows[5], rows[6], rows[7] = "1.5,red,", "oops,red,small", ",blue,large"
    data, summary = load(written(tmp_path, rows))
    assert "1 row without label left out" in summary
    assert "size: 1 cell no number, such as 'oops', read as missing" in summary
    assert sum(data.sizes.values()) == 199
    found = [row[0] for split in (data.train, data.validation, data.test) for row in split.inputs]
    assert found.count(None) == 2


@pytest.mark.parametrize(
    ("target", "labels", "described"),
    [
        ("label", ("large", "small"), "2 classes (large, small)"),
        ("size", (), "a number from 0.5 to 16.5"),
        ("rank", ("0", "1", "2"), "3 classes (0, 1, 2) (TARGET=rank:number for the number itself)"),
        ("rank:number", (), "a number from 0 to 2"),
        ("rank:classes", ("0", "1", "2"), "3 classes (0, 1, 2)"),
    ],
)
def test_the_target_decides_between_a_number_and_classes(tmp_path, target, labels, described):
    header, *rows = lines()
    file = written(tmp_path, [f"{header},rank", *(f"{row},{n % 3}" for n, row in enumerate(rows))])
    data, summary = load(file, target)
    assert data.labels == labels
    assert f"target {target.partition(':')[0]}: {described}" in summary


def test_dates_of_other_formats_are_found_and_an_ambiguity_is_reported(tmp_path):
    header, *rows = lines()
    days = [f"{1 + n % 12:02}/{1 + n % 9:02}/2020" for n in range(len(rows))]
    german = [f"{1 + n % 28}.{1 + n % 12}.2021" for n in range(len(rows))]
    made = [f"{row},{one},{other}" for row, one, other in zip(rows, days, german, strict=True)]
    data, summary = load(written(tmp_path, [f"{header},ordered,paid", *made]))
    assert (data.kinds["ordered"], data.kinds["paid"]) == ("%m/%d/%Y", "%d.%m.%Y")
    assert "ordered: dates such as '01/01/2020' also fit %d/%m/%Y; read as %m/%d/%Y" in summary


def test_row_numbers_and_empty_columns_are_ignored(tmp_path):
    header, *rows = lines()
    made = [f",nothing,{header}", *(f"{n},,{row}" for n, row in enumerate(rows))]
    data, summary = load(written(tmp_path, made))
    assert data.ignored == ("Unnamed: 0", "nothing")
    assert "2 ignored (Unnamed: 0: like an id, another value in each row, nothing: empty)" in summary


def test_a_rare_class_is_reported(tmp_path):
    rows = lines()
    rows[3] = "1.5,red,medium"
    data, summary = load(written(tmp_path, rows))
    assert "splits don't keep the shares of the classes: 1 row of medium" in summary
    assert data.labels == ("large", "medium", "small")


BROKEN = {
    "no header": (lines()[1:], "label", "the first line is no header, '0.5' is a number"),
    "twice": (["size,size,label", *lines()[1:]], "label", "two columns are called 'size'"),
    "no name": (["size,,label", *lines()[1:]], "label", "column 2 has no name"),
    "one column": (["label", *["a", "b"] * 30], "label", "one column, 'label'"),
    "no rows": (lines()[:1], "label", "has no rows"),
    "empty": ([""], "label", "is empty"),
    "few rows": (lines(9), "label", "9 rows with a label; the minimum is 20"),
    "more cells": ([*lines(), "1,2,3,4"], "label", "Expected 3 fields in line 62, saw 4"),
    "unknown target": (lines(), "price", "no column 'price': TARGET= .* takes one of: size, colour, label"),
    "no target": (lines(), "", "which column is to be predicted"),
    "texts as a number": (lines(), "label:number", "can't be predicted as a number"),
    "wrong kind": (lines(), "label:text", "after the colon, classes or number"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_table_that_can_not_be_used_is_refused_with_one_line(tmp_path, case):
    rows, target, message = BROKEN[case]
    with pytest.raises(ValueError, match=message) as caught:
        load(written(tmp_path, rows), target)
    assert "\n" not in str(caught.value)


def test_a_target_of_one_value_or_of_ids_is_refused(tmp_path):
    header, *rows = lines()
    file = written(tmp_path, [f"{header},same,name", *(f"{row},x,n{n}" for n, row in enumerate(rows))])
    with pytest.raises(ValueError, match="same is 'x' in every row"):
        load(file, "same")
    with pytest.raises(ValueError, match="60 different values in 60 rows: too many for classes"):
        load(file, "name")


def test_another_encoding_is_refused_with_the_command_that_helps(tmp_path):
    file = written(tmp_path, [*lines(), "1.5,grün,small"], encoding="latin-1")
    with pytest.raises(ValueError, match=r"not UTF-8 .* iconv -f latin1 -t utf-8"):
        load(file)


def test_a_table_is_for_its_own_task(tmp_path):
    file = written(tmp_path, lines())
    with pytest.raises(ValueError, match=r"is a table, .*: make train MODEL=table"):
        find(str(file)).load("image_classification")
    other = written(tmp_path, ["a text"], "t.txt")
    with pytest.raises(LookupError, match="none of the known formats:\n  a table"):
        find(str(other), "label")


def test_another_target_is_another_data_set(tmp_path):
    file = written(tmp_path, lines())
    digests = {find(str(file), target).sha256 for target in ("label", "size", "")}
    assert len(digests) == 3
