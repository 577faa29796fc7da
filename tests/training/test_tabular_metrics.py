"""Metrics of tabular regression, worked out by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from marina.training.tasks.tabular_regression import cross_validation
from marina.training.tasks.tabular_regression.task import TabularRegression

TRUTHS, PREDICTED = [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 10.0]  # errors of 0, 0, 0 and 6


def test_rmse_is_the_root_of_the_mean_square_and_mae_the_mean():
    found = TabularRegression.score(TRUTHS, [{"prediction": value} for value in PREDICTED])
    assert found == {"holdout_rmse": pytest.approx(3.0), "holdout_mae": pytest.approx(1.5)}
    assert list(found) == ["holdout_rmse", "holdout_mae"]


def test_the_metric_that_training_watches_is_rmse_too():
    metric = TabularRegression.new_metric(SimpleNamespace())
    metric.update(torch.tensor(PREDICTED), torch.tensor(TRUTHS))
    assert float(metric.compute()) == pytest.approx(3.0)


def test_the_loss_is_the_mean_square():
    loss = TabularRegression.loss(SimpleNamespace(), torch.tensor(PREDICTED), torch.tensor(TRUTHS))
    assert float(loss) == pytest.approx(9.0)


def test_each_row_of_the_test_split_becomes_a_request():
    test = SimpleNamespace(inputs=[[1.0, 2.0], [3.0, 4.0]], targets=[5.0, 6.0])
    first, second = TabularRegression.requests(SimpleNamespace(test=test))
    assert (first.body, first.content_type, first.truth) == (b'{"features": [1.0, 2.0]}', "application/json", 5.0)
    assert second.truth == 6.0


def test_a_summary_of_splits_has_the_mean_of_their_rmse_and_its_standard_error():
    """RMSE of 3 and 1; their standard deviation is the root of 2, over the root of 2 splits."""
    found = cross_validation.summary([torch.tensor([0.0, 0.0, 0.0, 36.0]), torch.tensor([1.0])])
    assert found == {
        "rmse_mean": pytest.approx(2.0),
        "standard_error": pytest.approx(math.sqrt(2) / math.sqrt(2)),
        "n": 2,
        "each": [3.0, 1.0],
    }
