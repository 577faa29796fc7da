"""Options of a translation request, and helpers of translations."""

import pytest
import torch

from handlers.codecs.subwords import END
from handlers.errors import BadRequest
from handlers.text.translation_request import TranslationInput, max_target_tokens, pad_pair, round_weights
from tests.support.bare import make_request

TOKENS = torch.tensor([7, 8, 9, END])


def sentence(tokens=TOKENS, limit=4, **options) -> TranslationInput:
    return TranslationInput.from_request(make_request(text="x", **options), tokens, "x", limit)


def test_defaults_of_the_options():
    made = sentence()
    assert (made.text, made.beams, made.length_penalty, made.top) == ("x", 4, 1.5, 1)
    assert (made.alignment, made.truncated) == (False, False)
    assert made.tokens is TOKENS


def test_options_are_read():
    made = sentence(beam=10, length_penalty=5, top=7, alignment=True)
    assert (made.beams, made.length_penalty, made.top, made.alignment) == (10, 5.0, 7, True)
    assert sentence(beam=1, length_penalty=0).length_penalty == 0
    assert sentence(beam=1, top=9).top == 1  # no more than there are
    assert sentence(beam=3, top=3).top == 3
    assert sentence(truncate=True).truncated is False


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("beam", 0, "not a whole number from 1 to 10"),
        ("beam", 11, "not a whole number from 1 to 10"),
        ("length_penalty", -0.1, "not a number from 0 to 5"),
        ("length_penalty", 5.1, "not a number from 0 to 5"),
        ("top", 0, "not a whole number of at least 1"),
        ("alignment", "x", "neither true nor false"),
    ],
)
def test_options_out_of_range_are_refused(option, value, reason):
    with pytest.raises(BadRequest) as caught:
        sentence(**{option: value})
    assert (caught.value.field, caught.value.reason) == (option, reason)


def test_a_long_text_is_cut_where_it_may_be_and_ends_all_the_same():
    with pytest.raises(BadRequest) as caught:
        sentence(limit=3)
    assert (caught.value.field, caught.value.reason) == ("text", "4 tokens are over the limit of 3; truncate=true cuts")
    made = sentence(limit=3, truncate=True)
    assert (made.tokens.tolist(), made.truncated) == ([7, 8, END], True)


def test_two_texts_side_by_side():
    one, other = torch.tensor([5, 6, 7]), torch.tensor([8])
    assert pad_pair(one, other).tolist() == [[5, 8], [6, 0], [7, 0]]
    assert pad_pair(other, one).tolist() == [[8, 5], [0, 6], [0, 7]]


def test_a_translation_may_be_twice_as_long_and_ten_tokens():
    assert max_target_tokens(TOKENS) == 18


def test_weights_are_rounded():
    assert round_weights(torch.tensor([[0.12344, 1.0], [-0.00006, 0.5]])) == [[0.1234, 1.0], [-0.0001, 0.5]]
