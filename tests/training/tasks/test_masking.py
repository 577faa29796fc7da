"""Masking: whole words, as many as they should be."""

import torch

from marina.training.tasks.fill_mask import MASKED, SHARE, SWAPPED, mask_words

MASK, SPECIAL, SIZE = 4, 5, 50


def drawn():
    torch.manual_seed(0)
    words = torch.tensor([[0, 1, 1, 2, 3, 3, 3, 0, 0]]).expand(4_000, -1)
    ids = torch.randint(SPECIAL, SIZE, words.shape)
    return ids, words, *mask_words(ids, words, MASK, SPECIAL, SIZE)


def test_words_are_wanted_as_wholes_and_what_is_no_word_never():
    _, words, _, wanted = drawn()
    assert not wanted[words == 0].any()
    for number in (1, 2, 3):
        own = wanted[:, words[0] == number]
        assert (own.all(dim=1) == own.any(dim=1)).all()
        assert abs(float(own.float().mean()) - SHARE) < 0.02


def test_most_are_masked_some_swapped_some_left():
    ids, _, shown, wanted = drawn()
    assert torch.equal(shown[~wanted], ids[~wanted])
    now, before = shown[wanted], ids[wanted]
    assert abs(float((now == MASK).float().mean()) - MASKED) < 0.03
    assert abs(float(((now != MASK) & (now != before)).float().mean()) - SWAPPED) < 0.03
    assert now[now != MASK].min() >= SPECIAL
