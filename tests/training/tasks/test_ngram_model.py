"""The n-gram model is a distribution, and Kneser and Ney's."""

import math

import pytest

from marina.training.tasks.text_generation.ngram_model import NGrams

TEXTS = [[0, 1, 2, 3], [0, 1, 2, 2], [0, 3, 1, 2]]
SIZE = 6


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("context", [[0], [0, 1], [0, 1, 2], [5], [0, 5, 5, 1]])
def test_the_probabilities_of_all_tokens_add_up(order, context):
    model = NGrams(TEXTS, order, SIZE)
    assert sum(model.probability(context, token) for token in range(SIZE)) == pytest.approx(1)
    assert all(model.probability(context, token) > 0 for token in range(SIZE))


def test_a_bigram_by_hand():
    """After 1 comes 2, three times of three. Of the 6 kinds of bigrams in the texts 2 end in a 2: (1, 2) and (2, 2)."""
    model = NGrams(TEXTS, 2, SIZE)
    kinds = {(0, 1), (1, 2), (2, 3), (2, 2), (0, 3), (3, 1)}
    saved = model.DISCOUNT * 3 / len(kinds)  # three tokens end one
    lower = (2 - model.DISCOUNT) / len(kinds) + saved / SIZE
    by_hand = (3 - model.DISCOUNT) / 3 + model.DISCOUNT / 3 * lower
    assert model.probability([0, 1], 2) == pytest.approx(by_hand)


def test_what_was_read_before_counts_where_it_helps():
    texts = [[0, token, token + 1] for token in (1, 3)] * 20
    assert NGrams(texts, 2, SIZE).perplexity(texts) < NGrams(texts, 1, SIZE).perplexity(texts) < SIZE
    assert NGrams(texts, 2, SIZE).perplexity([[0, 5, 5]]) > SIZE


def test_perplexity_is_the_inverse_of_the_mean_probability():
    model = NGrams(TEXTS, 2, SIZE)
    logs = [math.log(model.probability([0], 1)), math.log(model.probability([0, 1], 2))]
    assert model.perplexity([[0, 1, 2]]) == pytest.approx(math.exp(-sum(logs) / 2))
