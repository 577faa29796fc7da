"""Translations: what is said of them is true."""

import pytest
import torch

from handlers.codecs.subwords import BEGIN, END, SPECIAL, SubwordCodec
from handlers.codecs.text import UNK
from handlers.decoding import NEVER, penalty
from handlers.row import Row
from handlers.sentence import most, paired
from tests.tasks.translation import LEARNT, asked
from tests.worker import Ask

NAMES = ("seq2seq", "transformer")
CODEC = SubwordCodec.fit(LEARNT, 300, 500, 200)


@pytest.mark.parametrize("text", [*LEARNT[:4], "It costs 2024.", "价格是5。"])
def test_subwords_say_what_they_were_made_of(text):
    *numbers, end = CODEC.numbers(text).tolist()
    assert end == END
    assert UNK not in numbers
    assert CODEC.text(numbers) == text
    assert "".join(CODEC.written(numbers)) == text.replace(" ", "")
    assert "".join(CODEC.pieces(text)) == text.replace(" ", "")


def test_digits_and_chinese_characters_stand_alone():
    assert CODEC.pieces("2024年") == ["2", "0", "2", "4", "年"]


def test_what_is_unknown_is_said():
    assert CODEC.unknown("It costs Ω on 猫 Ω") == ["Ω", "猫"]
    assert CODEC.unknown("It costs 48 euros.") == []
    assert list(SPECIAL) == [CODEC._tokenizer.id_to_token(number) for number in range(len(SPECIAL))]


@pytest.mark.parametrize("name", NAMES)
def test_the_alignment_has_a_row_for_each_token_that_was_written(worker, name):
    (reply,) = worker(name).ask(asked(alignment=True))
    rows = reply.json["alignment"]
    assert len(rows) == len(reply.json["target"]) > 0
    assert {len(row) for row in rows} == {len(reply.json["source"])}
    assert all(0 <= sum(row) <= 1.001 for row in rows)
    assert "alignment" not in worker(name).ask(asked())[0].json


@pytest.mark.parametrize("name", NAMES)
def test_the_score_is_the_log_probability_over_the_penalty(worker, name):
    handler, ask = worker(name).handler, asked(beam=3, length_penalty=1)
    item = handler.decode(Row(ask.fields, ask.headers, "id"))
    (found,) = handler.forward([item])
    written = torch.tensor([*found[0].tokens, END])
    before = torch.cat([torch.tensor([BEGIN]), written[:-1]])
    with torch.inference_mode():
        logits = handler.network(paired(item.tokens, before)[None])[0, : len(written)]
    chances = logits.index_fill(1, torch.tensor(NEVER), float("-inf"))
    total = chances.log_softmax(dim=1).gather(1, written[:, None])
    if len(found[0].tokens) == most(item.tokens):  # it came to no end
        total = total[:-1]
    assert found[0].score == pytest.approx(float(total.sum() / penalty(torch.tensor(len(total)), 1)), abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_an_explanation_says_how_much_each_token_of_the_source_was_needed(worker, name):
    ask = asked(text="It costs 48 euros.")
    (reply,) = worker(name).ask(Ask(ask.fields, {**ask.headers, "explain": "True"}))
    assert reply.status == 200, reply.body
    source, target, weights = (reply.json[key] for key in ("source", "target", "weights"))
    assert source == worker(name).handler.codec.pieces("It costs 48 euros.")
    assert [len(weights), *{len(row) for row in weights}] == [len(target), len(source)]
    # By hand: the log-probability of the first token that was written, without the third of the source.
    handler = worker(name).handler
    item = handler.decode(Row(ask.fields, ask.headers, "id"))
    (found,) = handler.forward([item])
    without = item.tokens.clone()
    without[2] = UNK
    with torch.inference_mode():
        first = [
            handler.network.step(torch.tensor([BEGIN]), handler.network.begin(ids[None]))[0].log_softmax(dim=1)
            for ids in (item.tokens, without)
        ]
    token = found[0].tokens[0]
    assert weights[0][2] == pytest.approx(float((first[0] - first[1])[0, token]), abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_long_text_is_cut_only_if_it_may_be(worker, name):
    (reply,) = worker(name).ask(asked(text="2 0 2 4 " * 60, truncate=True))
    assert reply.json["truncated"] is True
    assert worker(name).ask(asked())[0].json["truncated"] is False
