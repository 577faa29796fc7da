"""Attributions of scores without gradients, which are known exactly where a score is a sum."""

import pytest
import torch

from handlers.runtime.ablation import feature_ablation
from handlers.runtime.shapley_values import SAMPLES, shapley_values


def summed(weights: torch.Tensor, sizes: list[int] | None = None):
    """A score, (N, classes), that is linear in its input; `sizes` records those of the batches."""

    def score(batch: torch.Tensor) -> torch.Tensor:
        if sizes is not None:
            sizes.append(len(batch))
        return batch.flatten(1) @ weights.flatten(1).T

    return score


def test_an_ablated_square_has_the_sum_of_its_pixels():
    torch.manual_seed(0)
    weights, image, other = torch.randn(2, 3, 6, 8), torch.rand(1, 3, 6, 8), torch.rand(1, 3, 6, 8)
    sizes: list[int] = []
    found, delta = feature_ablation(summed(weights, sizes), image, other, steps=8, batch_size=3, target=1)
    share = (weights[1] * (image[0] - other[0])).sum(dim=0)  # of each pixel, all channels: (6, 8)
    rows, columns = torch.arange(6) * 4 // 6, torch.arange(8) * 4 // 8  # 4 x 4 squares: the root of twice the steps
    for y in range(4):
        for x in range(4):
            square = (rows == y)[:, None] & (columns == x)
            expected = share[square].sum()
            torch.testing.assert_close(found[0].sum(dim=0)[square], expected.expand(int(square.sum())))
    assert found.shape == image.shape
    assert delta == pytest.approx(0, abs=1e-4)
    assert max(sizes) == 3


@pytest.mark.parametrize(("steps", "side"), [(1, 1), (2, 2), (50, 6)])
def test_there_are_never_more_squares_than_pixels(steps, side):
    image = torch.arange(36.0).reshape(1, 1, 6, 6)
    found, _ = feature_ablation(
        summed(torch.ones(1, 1, 6, 6)), image, torch.zeros_like(image), steps=steps, batch_size=4, target=0
    )
    assert len(found.unique()) == side * side


def test_the_delta_of_an_ablation_is_what_the_squares_do_together():
    image, black = torch.ones(1, 1, 2, 1), torch.zeros(1, 1, 2, 1)
    (_, delta) = feature_ablation(
        lambda batch: batch.flatten(1).prod(dim=1)[:, None], image, black, steps=8, batch_size=4, target=0
    )
    assert delta == pytest.approx(0)  # one square, since an image of one column has no more: all or nothing
    tall = torch.ones(1, 1, 2, 2)
    (found, delta) = feature_ablation(
        lambda batch: batch.flatten(1).prod(dim=1)[:, None], tall, tall * 0, steps=2, batch_size=4, target=0
    )
    assert found.tolist() == [[[[1, 1], [1, 1]]]]
    assert delta == pytest.approx(3)  # each of four squares takes all of the score


def test_shapley_values_of_a_sum_are_the_columns_shares():
    weights = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.5, 0.0, -1.0, 2.0]])
    row, average = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    columns = torch.tensor([0, 1, 1, 2])
    for target, expected in ((0, [0.0, 10.0, 16.0]), (1, [0.0, -2.0, 8.0])):
        found, delta = shapley_values(summed(weights), row, average, columns, target)
        assert found.tolist() == pytest.approx(expected)
        assert delta == pytest.approx(0, abs=1e-5)
    found, delta = shapley_values(lambda batch: batch.sum(dim=1), row, average, columns)
    assert found.tolist() == pytest.approx([0, 4, 4])
    assert delta == pytest.approx(0, abs=1e-5)


def test_shapley_values_share_what_columns_do_together_the_same_on_every_call():
    sizes: list[int] = []

    def product(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        return batch.prod(dim=1)

    row, average, columns = torch.tensor([[2.0, 3.0]]), torch.zeros(1, 2), torch.tensor([0, 1])
    state = torch.random.get_rng_state()
    found, delta = shapley_values(product, row, average, columns)
    assert torch.equal(torch.random.get_rng_state(), state), "other random numbers of the process are not disturbed"
    assert float(found.sum()) == pytest.approx(6)
    assert 0 < float(found[0]) < 6  # the column that is mixed in second has all of it
    assert delta == pytest.approx(0, abs=1e-5)
    assert sum(sizes) == 1 + SAMPLES * 2 + 2
    torch.manual_seed(5)
    again, _ = shapley_values(product, row, average, columns)
    assert torch.equal(again, found)


def test_a_missing_value_is_no_part_of_the_mixture():
    row, average = torch.tensor([[float("nan"), 1.0]]), torch.zeros(1, 2)
    found, delta = shapley_values(lambda batch: batch.nan_to_num(5.0).sum(dim=1), row, average, torch.tensor([0, 1]))
    assert found.tolist() == pytest.approx([5, 1])
    assert delta == pytest.approx(0, abs=1e-5)
