"""Rows of a table through a network that is linear: responses in the target's units, and each column's weight."""

import pytest
import torch
from torch import nn

from handlers.errors import BadRequest
from handlers.tables.table_schema import TableSchema, with_moments
from handlers.tabular_prediction import TabularPrediction
from tests.support.bare import bare, make_request
from tests.tasks.tabular_prediction import KINDS, LABELS, ROW, training_rows

MEAN, STD = 200.0, 50.0  # of the target
COLUMNS = list(KINDS)


class Number(nn.Module):
    """(N, F) -> (N,): a standardized number, a sum of the features, each times its weight."""

    def __init__(self, weights: torch.Tensor, differentiable: bool = True) -> None:
        super().__init__()
        self.weights, self.differentiable = nn.Parameter(weights), differentiable

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features @ self.weights


class Classes(Number):
    """(N, F) -> (N, 2): log-probabilities."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        score = features @ self.weights
        return torch.stack([-score, score], dim=1).log_softmax(dim=1)


def schema(targets: torch.Tensor | None) -> TableSchema:
    codec = TableSchema.fit(KINDS, training_rows(), [], ["customer_id"], "churned")
    return with_moments(codec, codec.table(map(codec.codes, training_rows())), targets)


@pytest.fixture
def number(tmp_path) -> TabularPrediction:
    codec = schema(torch.tensor([MEAN - STD, MEAN + STD] * 60))
    torch.manual_seed(0)
    return bare(TabularPrediction, tmp_path, codec, Number(torch.randn(codec.width)))


@pytest.fixture
def classes(tmp_path) -> TabularPrediction:
    codec = schema(None)
    torch.manual_seed(0)
    return bare(TabularPrediction, tmp_path, codec, Classes(torch.randn(codec.width)), LABELS)


def test_a_number_is_in_the_targets_units(number):
    decoded = number.decode(make_request(features=ROW))
    assert number.collate([decoded, decoded]).shape == (2, number.codec.width)
    assert number.encode(torch.tensor(0.0), decoded) == {"prediction": pytest.approx(MEAN, abs=0.3), "unknown": []}
    high, low = (number.encode(torch.tensor(value), decoded)["prediction"] for value in (1.0, -1.0))
    assert high - low == pytest.approx(2 * STD, rel=0.01)
    assert number.encode(torch.tensor(1 / 3), decoded)["prediction"] == round(MEAN + number.codec.target_std / 3, 6)
    other = number.decode(make_request(features={**ROW, "city": "Tromsø"}))
    assert number.encode(torch.tensor(0.0), other)["unknown"] == ["city"]


@pytest.mark.parametrize("differentiable", [True, False])
def test_weights_of_columns_lead_from_the_average_row_to_the_prediction(number, differentiable):
    number.network.differentiable = differentiable
    decoded = number.decode(make_request(features=ROW))
    explained = number.explain(decoded, None)
    row = number.collate([decoded])
    average = torch.tensor([number.codec.average])
    assert explained["prediction"] == pytest.approx(number.codec.in_units(float(number.network(row)[0])), abs=1e-5)
    assert explained["baseline"] == pytest.approx(number.codec.in_units(float(number.network(average)[0])), abs=1e-5)
    assert [one["column"] for one in explained["columns"]] == COLUMNS
    shares = number.network.weights * (row - average)[0]
    expected = [float(shares[number.codec.owners == place].sum()) * number.codec.target_std for place in range(5)]
    assert [one["weight"] for one in explained["columns"]] == pytest.approx(expected, abs=1e-2)
    assert explained["convergence_delta"] == pytest.approx(0, abs=1e-2)
    assert all(one["weight"] == round(one["weight"], 6) for one in explained["columns"])
    with pytest.raises(BadRequest) as refused:
        number.explain(decoded, "yes")
    assert (refused.value.field, refused.value.reason) == (
        "target",
        "churned is the only target of this model; leave `target` out",
    )


def test_classes_are_named_with_their_probabilities(classes):
    decoded = classes.decode(make_request(features={**ROW, "city": "Tromsø"}, top=1))
    response = classes.encode(torch.tensor([0.25, 0.75]).log(), decoded)
    assert response == {
        "predictions": [{"label": "yes", "probability": pytest.approx(0.75)}],
        "unknown": ["city"],
    }


@pytest.mark.parametrize("differentiable", [True, False])
def test_weights_of_columns_lead_to_the_log_probability_of_a_class(classes, differentiable):
    classes.network.differentiable = differentiable
    classes.card["serving"] = {**classes.card["serving"], "explain_steps": 200}
    decoded = classes.decode(make_request(features=ROW))
    row, average = classes.collate([decoded]), torch.tensor([classes.codec.average])
    for label, place in (("no", 0), ("yes", 1)):
        explained = classes.explain(decoded, label)
        assert explained["target"]["label"] == label
        logs = [float(classes.network(one)[0, place]) for one in (average, row)]
        assert explained["baseline"] == pytest.approx(logs[0], abs=1e-5)
        total = explained["baseline"] + sum(one["weight"] for one in explained["columns"])
        assert total == pytest.approx(logs[1], abs=1e-2)


def test_the_api_has_the_form_of_the_table_and_of_its_response(number, classes):
    described = TabularPrediction.api_of(classes.folder)
    form = described["request"]["application/json"]["schema"]["properties"]["features"]
    assert form == classes.codec.json_schema()
    assert "predictions" in described["reply"]["properties"]
    assert {"target", "baseline", "columns"} <= set(described["explanation"]["properties"])


def test_the_api_of_a_number_has_no_classes(number):
    described = TabularPrediction.api_of(number.folder)
    assert "prediction" in described["reply"]["properties"]
    assert "prediction" in described["explanation"]["properties"]
    assert number.labels == []
