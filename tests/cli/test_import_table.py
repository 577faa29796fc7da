"""`marina import` of scikit-learn's pipelines as ONNX: archives respond as the library itself does."""

import json

import numpy as np
import pytest

from marina.cli import import_model
from marina.errors import ModelImportError
from tests.support import pipelines
from tests.support.checkout import copied, python

# The responses of three archives to the rows of rows.json, and an explanation of the first row of each.
RESPOND = """
import json
from pathlib import Path
from marina.hosting.host import Host, HostedRequest
for name, rows in json.loads(Path("rows.json").read_text()).items():
    with Host.of_archive(Path(f"archive/store/{name}-1.0.mar"), Path("var/keys/signing.pub")) as host:
        bodies = [json.dumps({"features": row}).encode() for row in rows]
        replies = [host.batch([HostedRequest.of_body(body, "application/json", {})])[0].json for body in bodies]
        (why,) = host.batch([HostedRequest.of_body(bodies[0], "application/json", {}, True)])
        bad = host.batch([HostedRequest.of_body(b'{"features": [null]}', "application/json", {})])[0]
    print(json.dumps([name, replies, why.json, bad.json]))
"""
COMMANDS = """
import json, sys
from marina.cli.main import app
for arguments in json.loads(sys.argv[1]):
    app(arguments, standalone_mode=False)
"""


def probabilities(reply: dict) -> dict[str, float]:
    return {one["label"]: one["probability"] for one in reply["predictions"]}


def test_imported_pipelines_respond_as_scikit_learn_does(tmp_path):
    checkout = copied(tmp_path)
    forest, flowers = pipelines.flowers(checkout / "flowers.onnx")
    boosting, patients = pipelines.progression(checkout / "patients.onnx")
    linear, people = pipelines.people(checkout / "people.onnx")
    (checkout / "moved.txt").write_text("stays\nmoves\n")
    people.loc[9, "city"] = "Voss"  # unknown to the pipeline
    named = people.astype(object)
    named.loc[8, "age"] = None
    rows = {"flowers": flowers.tolist(), "patients": patients.tolist(), "people": named.to_dict("records")}
    (checkout / "rows.json").write_text(json.dumps(rows))
    columns = ["--columns", "length,width,petal length,petal width"]
    options = {"flowers": columns, "patients": [], "people": ["--labels", "moved.txt"]}
    imports = [
        ["import", name, "--task", "tabular_prediction", "--weights", f"{name}.onnx", *more]
        for name, more in options.items()
    ]
    done = python(checkout, "-c", COMMANDS, json.dumps([*imports, ["archive", *options]]))
    assert done.returncode == 0, done.stderr
    assert "4 columns: length (number), width (number), petal length (number), petal width (number)" in done.stdout
    assert "predicts 2 classes (stays, moves)" in done.stdout
    answered = python(checkout, "-c", RESPOND)
    assert answered.returncode == 0, answered.stderr
    found = {name: rest for name, *rest in map(json.loads, answered.stdout.splitlines())}

    replies, why, bad = found["flowers"]
    for reply, expected in zip(replies, forest.predict_proba(flowers), strict=True):
        assert probabilities(reply) == pytest.approx(dict(zip(forest.classes_, expected, strict=True)), abs=1e-5)
    assert [one["column"] for one in why["columns"]] == ["length", "width", "petal length", "petal width"]
    assert abs(why["convergence_delta"]) < 1e-3
    assert bad["field"] == "features"

    replies, why, _ = found["patients"]
    np.testing.assert_allclose([one["prediction"] for one in replies], boosting.predict(patients), rtol=1e-5)
    total = why["baseline"] + sum(one["weight"] for one in why["columns"])
    assert total == pytest.approx(replies[0]["prediction"], abs=1e-2)

    replies, why, _ = found["people"]
    people.loc[8, "age"] = np.nan
    for reply, expected in zip(replies, linear.predict_proba(people), strict=True):
        assert probabilities(reply) == pytest.approx({"stays": expected[0], "moves": expected[1]}, abs=1e-5)
    assert {one["column"] for one in why["columns"] if one["weight"]} == {"age", "city"}


def refused(tmp_path, monkeypatch, file, *arguments) -> str:
    monkeypatch.setattr(import_model, "MODELS", tmp_path)
    monkeypatch.chdir(tmp_path)
    labels, columns, example = [*arguments, *[None] * (3 - len(arguments))]
    with pytest.raises(ModelImportError) as caught:
        import_model.import_("mine", file, task="tabular_prediction", labels=labels, columns=columns, example=example)
    assert not (tmp_path / "mine.py").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_that_can_not_be_served_are_refused_with_one_line(tmp_path, monkeypatch):
    file = tmp_path / "p.onnx"
    assert "No such file" in refused(tmp_path, monkeypatch, file)
    file.write_bytes(b"no program")
    assert "p.onnx is no ONNX file that onnxruntime runs" in refused(tmp_path, monkeypatch, file)
    pipelines.people(file, unknown="error")
    words = 'OneHotEncoder(handle_unknown="ignore")'
    (tmp_path / "row.json").write_text('{"city": "Oslo"}')
    assert words in refused(tmp_path, monkeypatch, file, None, None, tmp_path / "row.json")
    assert "--example" in refused(tmp_path, monkeypatch, file)
    pipelines.flowers(file)
    assert "4 columns; --columns has 2" in refused(tmp_path, monkeypatch, file, None, "a,b")
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    assert "3 classes (setosa, versicolor, virginica), --labels 2" in refused(
        tmp_path, monkeypatch, file, tmp_path / "labels.txt"
    )
    pipelines.progression(file)
    assert "takes no --labels" in refused(tmp_path, monkeypatch, file, tmp_path / "labels.txt")
