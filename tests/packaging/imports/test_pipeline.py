"""Pipelines of scikit-learn as ONNX, in this process: columns, classes, example row, and the lines for the user."""

import json
from hashlib import sha256
from types import SimpleNamespace

import pytest

from handlers.tables.pipeline_columns import RawNumber, RawText
from marina.errors import ModelImportError
from marina.packaging.imports import pipeline
from marina.packaging.imports.imported_model import ImportOptions
from models.parts.onnx_pipeline import OnnxPipeline
from tests.packaging.imports.test_imports import one_line
from tests.support import pipelines

FLOWERS = ["setosa", "versicolor", "virginica"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pipelines that name a flower, estimate a progression, and name people's decisions by a number and a text."""
    folder = tmp_path_factory.mktemp("pipelines")
    written = {name: folder / f"{name}.onnx" for name in ("flowers", "progression", "people")}
    for name, file in written.items():
        getattr(pipelines, name)(file)
    (folder / "moved.txt").write_text("stays\nmoves\n")
    (folder / "row.json").write_text('{"features": {"city": "Troms\u00f8", "age": 30}}', encoding="utf-8")
    return folder


def test_a_pipeline_of_numbers_has_its_own_classes(files):
    file = files / "flowers.onnx"
    model = pipeline.imported(ImportOptions(file, columns=("a", "b", "c", "d")))
    digest = sha256(file.read_bytes()).hexdigest()
    assert (model.labels, model.input, model.serving) == (FLOWERS, {}, {"batch_size": pipeline.BATCH_SIZE})
    assert model.origin == {"network": "onnx", "file": "flowers.onnx", "sha256": digest}
    row = {"a": 0, "b": 0, "c": 0, "d": 0}
    assert (json.loads(model.example[0]), model.example[1]) == ({"features": row}, "application/json")
    assert list(model.found) == [
        f"flowers.onnx: 4 columns: a (number), b (number), c (number), d (number); sha256 {digest[:12]}",
        f"predicts 3 classes (setosa, versicolor, virginica); explanations start from {row}",
    ]
    assert (model.source.given, model.source.expression, model.source.code) == (
        "flowers.onnx",
        "OnnxPipeline",
        pipeline.CODE,
    )
    again = model.source.build(model.arguments)
    assert isinstance(again, OnnxPipeline)
    assert model.arguments == {
        "size": file.stat().st_size,
        "inputs": [["X", "tensor(float)", 4]],
        "labels": FLOWERS,
        "text_bytes": pipeline.TEXT_BYTES,
    }
    assert (model.codec.target_mean, model.codec.target_std, model.codec.target) == (None, None, "prediction")


def test_columns_without_names_are_numbered(files):
    model = pipeline.imported(ImportOptions(files / "flowers.onnx"))
    assert [column.name for column in model.codec.columns] == ["X0", "X1", "X2", "X3"]


def test_a_pipeline_that_predicts_a_number_has_no_classes(files):
    model = pipeline.imported(ImportOptions(files / "progression.onnx"))
    assert model.labels == []
    assert (model.codec.target_mean, model.codec.target_std) == (0.0, 1.0)
    assert model.found[1].startswith("predicts a number; explanations start from {'X0': 0, ")
    assert all(isinstance(column, RawNumber) and not column.missing for column in model.codec.columns)
    with pytest.raises(ModelImportError, match=one_line("progression.onnx predicts a number, and takes no --labels")):
        pipeline.imported(ImportOptions(files / "progression.onnx", labels=files / "moved.txt"))


def test_texts_missing_numbers_and_the_users_labels_and_example(files):
    options = ImportOptions(files / "people.onnx", labels=files / "moved.txt", example=files / "row.json")
    model = pipeline.imported(options)
    age, city = model.codec.columns
    assert isinstance(age, RawNumber)
    assert (age.name, age.missing, age.whole) == ("age", True, False)
    assert isinstance(city, RawText)
    assert model.labels == ["stays", "moves"]
    assert model.arguments["labels"] == [0, 1], "the program's own, by which its probabilities are ordered"
    assert "Troms\u00f8".encode() in model.example[0], "as the user wrote it, not escaped"
    assert json.loads(model.example[0]) == {"features": {"age": 30, "city": "Troms\u00f8"}}
    assert model.codec.average == model.codec.codes({"age": 30, "city": "Troms\u00f8"})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "--example .*row.json: Expecting"),
        ("[1, 2]", "row.json: expected an object by column name"),
        ('{"features": [1, 2]}', "row.json: expected an object by column name"),
        ('{"age": "young"}', "--example: .*age"),
    ],
)
def test_an_example_that_is_no_row_is_refused(files, tmp_path, row, message):
    (tmp_path / "row.json").write_text(row)
    with pytest.raises(ModelImportError, match=one_line(message)):
        pipeline.imported(ImportOptions(files / "people.onnx", example=tmp_path / "row.json"))


def test_names_of_columns_differ(files):
    for names in (("a", "b", "c"), ("a", "b", "c", "c")):
        with pytest.raises(ModelImportError, match=one_line("has 4 columns; --columns has 3 different names")):
            pipeline.imported(ImportOptions(files / "flowers.onnx", columns=names))


@pytest.mark.parametrize(
    ("kind", "shape"), [("tensor(float)", [None]), ("tensor(float)", [None, "n"]), ("tensor(bool)", [None, 1])]
)
def test_an_input_that_is_no_table_is_refused(kind, shape):
    node = SimpleNamespace(name="x", type=kind, shape=shape)
    with pytest.raises(ModelImportError) as refused:
        pipeline._input(SimpleNamespace(name="p.onnx"), node)
    expected = "a table's is numbers or texts of shape [None, columns]"
    assert str(refused.value) == f"p.onnx: input x is {kind} of shape {shape}; {expected}"


@pytest.mark.parametrize(
    ("count", "end"), [(20, "c19 (text); sha256 012345678901"), (22, "c19 (text), and 2 more; sha256 012345678901")]
)
def test_long_lists_are_cut(count, end):
    schema = SimpleNamespace(columns=[RawText(f"c{place}") for place in range(count)])
    labels = [f"l{place}" for place in range(12)]
    found = pipeline.ImportedPipeline(None, {}, schema, labels, {}, "0123456789" * 4)
    columns, classes = pipeline.summary("p.onnx", found)
    assert columns.startswith(f"p.onnx: {count} columns: c0 (text), c1 (text), ")
    assert columns.endswith(end)
    assert classes == f"predicts 12 classes ({', '.join(labels[:10])}); explanations start from {{}}"
