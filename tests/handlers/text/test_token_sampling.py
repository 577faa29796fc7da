"""Tokens are drawn as the options say, and the same seed draws the same."""

from collections import Counter

import pytest
import torch

from handlers.errors import BadRequest
from handlers.request import Request
from handlers.text.token_sampling import Sampling

LOGITS = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()


def drawn(count=400, **options) -> Counter[int]:
    sampling = Sampling(**{"temperature": 1.0, "top_p": 1.0, "seed": 0, **options})
    generator = sampling.generator()
    return Counter(sampling.sample(LOGITS, generator) for _ in range(count))


def test_the_shares_are_the_probabilities():
    shares = drawn(4_000)
    assert [shares[token] / 4_000 for token in range(4)] == pytest.approx([0.5, 0.25, 0.15, 0.1], abs=0.03)


def test_no_temperature_takes_the_likeliest_and_a_high_one_levels():
    assert set(drawn(temperature=0.0)) == {0}
    assert drawn(4_000, temperature=10.0)[3] > 0.2 * 4_000


def test_the_likeliest_few_are_left():
    assert set(drawn(top_k=2)) == {0, 1}
    assert set(drawn(top_k=100)) == {0, 1, 2, 3}
    assert set(drawn(top_p=0.7)) == {0, 1}  # 0.5 is not enough, 0.75 is
    assert set(drawn(top_p=0.0)) == {0}


def test_the_same_seed_draws_the_same_and_another_does_not():
    def row(seed):
        sampling = Sampling(temperature=1.0, top_p=1.0, seed=seed)
        generator = sampling.generator()
        return [sampling.sample(LOGITS, generator) for _ in range(50)]

    assert row(7) == row(7)
    assert row(7) != row(8)
    assert row(None) != row(None)


def test_no_token_is_drawn_beyond_those_that_add_up_to_top_p():
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()  # sums that are exact
    for top_p, expected in ((0.5, {0}), (0.75, {0, 1}), (0.875, {0, 1, 2}), (0.876, {0, 1, 2, 3})):
        sampling = Sampling(temperature=1.0, top_p=top_p, seed=0)
        generator = sampling.generator()
        assert {sampling.sample(logits, generator) for _ in range(200)} == expected


def of(**options) -> Sampling:
    return Sampling.from_request(Request({"body": options}, {}, "id"))


def test_options_of_a_request_replace_the_defaults():
    assert of() == Sampling(temperature=0.8, top_k=None, top_p=0.95, seed=None)
    assert of(temperature=0, top_k=1, top_p=0, seed=0) == Sampling(0.0, 1, 0.0, 0)
    assert of(temperature=10, top_k=10**6, top_p=1, seed=2**63 - 1) == Sampling(10.0, 10**6, 1.0, 2**63 - 1)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("temperature", -0.1), ("temperature", 10.1), ("temperature", "nan"), ("top_k", 0), ("top_k", 1.5)),
        *(("top_p", -0.1), ("top_p", 1.01), ("seed", -1), ("seed", 2**63)),
    ],
)
def test_an_option_out_of_range_is_refused(option, value):
    with pytest.raises(BadRequest) as caught:
        of(**{option: value})
    assert caught.value.field == option
