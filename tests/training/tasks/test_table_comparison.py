"""The comparison of a table network with its baselines, worked out by hand."""

import pytest
import torch

from marina.training.tasks.tabular_prediction import table_comparison, table_fitting
from marina.training.tasks.tabular_prediction.task import TabularPrediction
from models.card import Recipe


def verdict(network, linear, metric="accuracy", ratio=0.25):
    found = table_comparison.summary({"network": network, "linear": linear}, metric, 100, ratio)
    return found["verdicts"]["linear"]


def test_a_difference_counts_if_it_is_over_two_corrected_standard_errors():
    # Differences 0.02 +- 0.01: variance 1e-4, times 1/2 + 1/4 is a standard error of 0.00866
    assert verdict([0.9 + 0.0129, 0.9 + 0.0271], [0.9, 0.9]) == "better"
    assert verdict([0.9, 0.9], [0.9 + 0.0129, 0.9 + 0.0271]) == "worse"
    # Without the correction the standard error would be 0.00710, and the mean of 0.015 over two of them
    assert verdict([0.9 + 0.0079, 0.9 + 0.0221], [0.9, 0.9]) == "matches"
    assert verdict([0.9, 0.9], [0.9, 0.9]) == "matches"


def test_a_lower_error_is_better():
    assert verdict([1.0, 1.1], [2.0, 2.1], "rmse") == "better"
    assert verdict([2.0, 2.1], [1.0, 1.1], "rmse") == "worse"


def test_the_summary_has_means_and_deviations():
    found = table_comparison.summary({"network": [1.0, 3.0], "linear": [1.0, 1.0]}, "rmse", 10, 0.25)
    assert found["network"] == {"mean": 2.0, "sd": pytest.approx(2**0.5), "each": [1.0, 3.0]}
    assert (found["rows"], found["folds"], found["metric"]) == (10, 2, "rmse")
    (line,) = table_comparison.lines({"folds": found})
    assert line == "2 folds of 10 rows: rmse 2 +- 1.4; beside linear 1 +- 0 (matches)"


def test_each_member_has_its_own_loss():
    outputs, targets = torch.tensor([[1.0, 3.0], [0.0, 0.0]]), torch.tensor([1.0, 2.0])
    assert float(table_fitting.loss(outputs, targets, 0)) == (0 + 4 + 4 + 4) / 4
    assert float(table_fitting.loss(outputs.mean(dim=1), targets, 0)) == (1 + 4) / 2
    probabilities = torch.tensor([[[0.5, 0.5], [0.25, 0.75]]]).log()
    expected = -(torch.tensor(0.5).log() + torch.tensor(0.75).log()) / 2
    torch.testing.assert_close(table_fitting.loss(probabilities, torch.tensor([1]), 2), expected)


def test_large_tables_have_large_batches():
    recipe = Recipe(epochs=1, batch_size=16, lr=0.1)
    assert [table_fitting.sized(recipe, rows).batch_size for rows in (10, 1024, 1025, 64_000)] == [16, 16, 17, 1000]


def test_numbers_are_scored_in_their_units():
    responses = [{"prediction": value} for value in (1.0, 2.0, 3.0, 10.0)]
    found = TabularPrediction.score([1.0, 2.0, 3.0, 4.0], responses)
    assert found == {"rmse": pytest.approx(3.0), "mae": pytest.approx(1.5), "r2": pytest.approx(1 - 9 / 1.25)}


def test_classes_are_scored_by_the_most_probable():
    responses = [{"predictions": [{"label": label, "probability": 0.9}]} for label in ("a", "b")]
    assert TabularPrediction.score(["a", "a"], responses)["accuracy"] == 0.5
