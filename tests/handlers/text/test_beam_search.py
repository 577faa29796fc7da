"""Beam search finds what is likeliest as a whole; greedy decoding what is likeliest at each step."""

import math

import pytest
import torch

import models
from handlers.codecs.subwords import BEGIN, END
from handlers.codecs.words import PAD, UNK
from handlers.text.beam_search import beam_search, length_penalty
from tests import tasks

A, B, C = 4, 5, 6
SIZE = 7
# After each token: how likely the next ones are. B is worth less at first, and more in the end.
NEXT = {
    BEGIN: {A: 0.6, B: 0.4},
    A: {C: 0.5, END: 0.3, A: 0.2},
    B: {END: 0.9, C: 0.1},
    C: {END: 0.6, C: 0.4},
}


def begin(source):
    return [source]


def step(tokens, state):
    """Return logits that ignore the source; each token attends to the position of its number, modulo."""
    (source,) = state
    logits = torch.full((len(tokens), SIZE), -1e9)
    for row, token in enumerate(tokens.tolist()):
        for after, chance in NEXT.get(token, {END: 1.0}).items():
            logits[row, after] = math.log(chance)
    attention = torch.nn.functional.one_hot(tokens % source.shape[1], source.shape[1]).float()
    return logits, state, attention


def found(beams, alpha=0.0, longest=20, count=1):
    return beam_search(begin, step, torch.ones(count, 3, dtype=torch.long), beams, torch.full((count,), longest), alpha)


def test_greedy_takes_the_likeliest_step_and_a_beam_the_likeliest_whole():
    ((greedy,),) = found(1)
    assert (greedy.tokens, math.exp(greedy.score)) == ([A, C], pytest.approx(0.6 * 0.5 * 0.6))
    ((best, second),) = found(2)
    assert (best.tokens, math.exp(best.score)) == ([B], pytest.approx(0.4 * 0.9))
    assert math.exp(second.score) == pytest.approx(0.18)


def test_all_beams_differ_and_come_best_first():
    ((*hypotheses,),) = found(5)
    assert len({tuple(one.tokens) for one in hypotheses}) == 5
    assert [one.score for one in hypotheses] == sorted((one.score for one in hypotheses), reverse=True)


def test_a_penalty_of_length_favours_longer_ones():
    assert length_penalty(torch.tensor([1, 7]), 1.0).tolist() == [1, 2]
    assert length_penalty(torch.tensor([1, 7]), 0.0).tolist() == [1, 1]
    ((plain, *_),) = found(4)
    ((longer, *_),) = found(4, alpha=5.0)
    assert len(longer.tokens) > len(plain.tokens)


def test_a_finished_short_hypothesis_does_not_displace_longer_ones_with_a_better_score():
    """By plain probability both beams are finished after three steps: B, and A C."""
    ((best, _),) = found(2, alpha=10.0, longest=6)
    assert best.tokens[:3] == [A, C, C]


def test_a_sentence_ends_at_its_own_limit_whatever_is_beside_it():
    limits = torch.tensor([1, 20])
    cut, whole = beam_search(begin, step, torch.ones(2, 3, dtype=torch.long), 1, limits, 0.0)
    assert (cut[0].tokens, whole[0].tokens) == ([A], [A, C])


def test_the_attention_of_each_token_belongs_to_its_hypothesis():
    ((best, second),) = found(2)
    assert best.alignment.argmax(dim=1).tolist() == [BEGIN % 3]  # B was written looking from <BEGIN>
    assert second.alignment.argmax(dim=1).tolist() == [BEGIN % 3, A % 3]


def test_excluded_tokens_are_never_generated(monkeypatch):
    monkeypatch.setitem(NEXT, BEGIN, {UNK: 0.5, PAD: 0.3, BEGIN: 0.1, A: 0.1})
    assert all(not {UNK, PAD, BEGIN} & set(one.tokens) for one in found(3)[0])


@pytest.mark.parametrize("name", ["seq2seq", "transformer"])
def test_a_translation_written_token_by_token_is_scored_as_one_seen_whole(name):
    """The cache of keys and values, or the state of the GRU, leaves nothing out."""
    torch.manual_seed(0)
    codec, arguments, _ = tasks.find("translation").facts(models.find(name))
    network = models.find(name).network(**arguments).eval()
    sources = torch.randint(4, codec.size, (2, 9))
    sources[1, 6:] = PAD
    targets = torch.cat([torch.full((2, 1), BEGIN), torch.randint(4, codec.size, (2, 8))], dim=1)
    with torch.inference_mode():
        whole = network(torch.stack([sources, targets], dim=2)).log_softmax(dim=2)
        state, steps = network.begin(sources), []
        for place in range(9):
            logits, state, attention = network.step(targets[:, place], state)
            steps.append(logits.log_softmax(dim=1))
            assert attention.sum(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)
            assert attention[1, 6:].abs().max() == 0  # padding gets no attention
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, atol=1e-4, rtol=1e-4)


def test_a_hypothesis_has_no_end_and_no_padding_and_a_score_for_its_length():
    ((best, second),) = found(2, alpha=1.0)
    assert (best.tokens, second.tokens) == ([B], [A, C])
    assert best.score == pytest.approx(math.log(0.4 * 0.9) / (7 / 6))  # with <END> it has two
    assert second.score == pytest.approx(math.log(0.6 * 0.5 * 0.6) / (8 / 6))
    assert best.alignment.shape == (1, 3)


def test_sentences_of_a_batch_do_not_mix():
    """Each has its own beams, its own limit and its own state."""
    sources = torch.tensor([[1, 1, 1], [2, 2, 2]])
    seen = []

    def watching(tokens, state):
        seen.append(state[0][:, 0].tolist())
        return step(tokens, state)

    limits = torch.tensor([20, 2])
    first, second = beam_search(begin, watching, sources, 2, limits, 0.0)
    assert seen[0] == [1, 1, 2, 2]
    assert all(row == seen[0] for row in seen)
    assert [one.tokens for one in first] == [[B], [A, C]]
    assert [one.tokens for one in second] == [[B], [A, C]]
    assert second[1].score == pytest.approx(math.log(0.6 * 0.5))  # cut before its <END>
