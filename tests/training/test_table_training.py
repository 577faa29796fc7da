"""Three tables of a user's own are trained, answer and explain, and are no worse than scikit-learn's models."""

import json

import pytest

from marina.errors import WeightsExistError
from marina.hosting.host import Host, HostedRequest
from marina.training import artifacts, run
from tests.support import table_samples

JSON = "application/json"


def trained(file, target: str) -> tuple[dict, dict, dict]:
    """Train on the table; return the card, and prediction and explanation of its example."""
    folder = run.train("table", data=str(file), target=target)
    card = artifacts.finished(folder)
    body = (folder / card["example"]["file"]).read_bytes()
    with Host.of_artifacts(folder) as host:
        prediction, explanation = host.batch(
            [HostedRequest.of_body(body, JSON, {}, explain) for explain in (False, True)]
        )
        row = json.loads(body)["features"]
        bad = host.batch(
            [HostedRequest.of_body(json.dumps({"features": {**row, name: []}}).encode(), JSON) for name in row]
        )
    assert [(reply.status, reply.json["field"]) for reply in bad] == [(400, f"features.{name}") for name in row]
    assert (prediction.status, explanation.status) == (200, 200)
    assert [column["column"] for column in explanation.json["columns"]] == list(row)
    return card, prediction.json, explanation.json


def total(explanation: dict) -> float:
    return explanation["baseline"] + sum(column["weight"] for column in explanation["columns"])


def no_worse(card: dict) -> bool:
    return set(card["folds"]["verdicts"].values()) <= {"matches", "better"} and len(card["folds"]["verdicts"]) == 2


def test_iris_is_classified(tmp_path, capsys):
    file = table_samples.iris(tmp_path / "iris.csv")
    card, prediction, explanation = trained(file, "species")
    assert no_worse(card), card["folds"]
    assert card["metrics"]["accuracy"] >= 0.9
    assert {one["label"] for one in prediction["predictions"]} == {"setosa", "versicolor", "virginica"}
    assert explanation["target"] == prediction["predictions"][0]
    assert abs(explanation["convergence_delta"]) < 0.2
    assert card["data"]["target"] == "species"
    assert "target species: 3 classes" in capsys.readouterr().out
    run.train("table")
    assert "table 1.0: up to date (data iris.csv)" in capsys.readouterr().out
    with pytest.raises(WeightsExistError, match=r"target species -> petal width \(cm\)"):
        run.train("table", target="petal width (cm)")


def test_diabetes_is_predicted_in_its_units(tmp_path):
    card, prediction, explanation = trained(table_samples.diabetes(tmp_path / "diabetes.csv"), "progression")
    assert no_worse(card), card["folds"]
    assert card["folds"]["network"]["mean"] < 60
    assert prediction["prediction"] == explanation["prediction"]
    assert 25 < prediction["prediction"] < 346
    assert total(explanation) == pytest.approx(
        explanation["prediction"], abs=abs(explanation["convergence_delta"]) + 0.01
    )


def test_customers_with_categories_dates_and_holes_are_classified(tmp_path):
    card, prediction, _ = trained(table_samples.customers(tmp_path / "customers.csv"), "churned")
    assert no_worse(card), card["folds"]
    assert card["folds"]["network"]["mean"] > card["folds"]["linear"]["mean"]
    assert prediction["unknown"] == []
    assert card["baselines"].keys() == {"linear", "gradient_boosting"}
