"""Tokens are drawn as the options say, and the same seed draws the same."""

from collections import Counter

import pytest
import torch

from handlers.sampling import Sampling

LOGITS = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()


def drawn(count=400, **options) -> Counter[int]:
    sampling = Sampling(**{"temperature": 1.0, "top_p": 1.0, "seed": 0, **options})
    generator = sampling.generator()
    return Counter(sampling.pick(LOGITS, generator) for _ in range(count))


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
        return [sampling.pick(LOGITS, generator) for _ in range(50)]

    assert row(7) == row(7)
    assert row(7) != row(8)
    assert row(None) != row(None)
