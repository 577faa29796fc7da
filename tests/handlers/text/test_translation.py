"""Translation: scores, alignments, attributions and truncation."""

import pytest
import torch

from handlers.codecs.subwords import BEGIN, END, SPECIAL, SubwordCodec
from handlers.codecs.words import UNK
from handlers.request import Request
from handlers.text.beam_search import EXCLUDED_TOKENS, length_penalty
from handlers.text.translation_request import max_target_tokens, pad_pair
from tests.support.worker import SampleRequest
from tests.tasks.translation import TRAINING_TEXTS, sample_request

NAMES = ("seq2seq", "transformer")
CODEC = SubwordCodec.fit(TRAINING_TEXTS, 300, 500, 200)


@pytest.mark.parametrize("text", [*TRAINING_TEXTS[:4], "It costs 2024.", "价格是5。"])
def test_token_ids_decode_to_the_text_they_encode(text):
    *numbers, end = CODEC.numbers(text).tolist()
    assert end == END
    assert UNK not in numbers
    assert CODEC.text(numbers) == text
    assert "".join(CODEC.token_texts(numbers)) == text.replace(" ", "")
    assert "".join(CODEC.pieces(text)) == text.replace(" ", "")


def test_each_digit_and_each_chinese_character_is_a_token():
    assert CODEC.pieces("2024年") == ["2", "0", "2", "4", "年"]


def test_parts_of_a_text_without_a_token_are_unknown():
    assert CODEC.unknown("It costs Ω on 猫 Ω") == ["Ω", "猫"]
    assert CODEC.unknown("It costs 48 euros.") == []
    assert list(SPECIAL) == [CODEC._tokenizer.id_to_token(number) for number in range(len(SPECIAL))]


@pytest.mark.parametrize("name", NAMES)
def test_the_alignment_has_a_row_for_each_target_token(worker, name):
    (response,) = worker(name).send(sample_request(alignment=True))
    rows = response.json["alignment"]
    assert len(rows) == len(response.json["target"]) > 0
    assert {len(row) for row in rows} == {len(response.json["source"])}
    assert all(0 <= sum(row) <= 1.001 for row in rows)
    assert "alignment" not in worker(name).send(sample_request())[0].json


@pytest.mark.parametrize("name", NAMES)
def test_the_score_is_the_log_probability_over_the_length_penalty(worker, name):
    handler, request = worker(name).handler, sample_request(beam=3, length_penalty=1)
    item = handler.decode(Request(request.fields, request.headers, "id"))
    ((best, *_),) = handler.forward([item])
    target = torch.tensor([*best.tokens, END])
    prefix = torch.cat([torch.tensor([BEGIN]), target[:-1]])
    with torch.inference_mode():
        logits = handler.network(pad_pair(item.tokens, prefix)[None])[0, : len(target)]
    allowed = logits.index_fill(1, torch.tensor(EXCLUDED_TOKENS), float("-inf"))
    total = allowed.log_softmax(dim=1).gather(1, target[:, None])
    if len(best.tokens) == max_target_tokens(item.tokens):  # cut at the limit, without <END>
        total = total[:-1]
    assert best.score == pytest.approx(float(total.sum() / length_penalty(torch.tensor(len(total)), 1)), abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_an_explanation_is_the_effect_of_each_source_token(worker, name):
    request = sample_request(text="It costs 48 euros.")
    (response,) = worker(name).send(SampleRequest(request.fields, {**request.headers, "explain": "True"}))
    assert response.status == 200, response.body
    source, target, weights = (response.json[key] for key in ("source", "target", "weights"))
    assert source == worker(name).handler.codec.pieces("It costs 48 euros.")
    assert [len(weights), *{len(row) for row in weights}] == [len(target), len(source)]
    # One weight computed here: the first target token loses this log-probability without the third source token.
    handler = worker(name).handler
    item = handler.decode(Request(request.fields, request.headers, "id"))
    ((best, *_),) = handler.forward([item])
    without = item.tokens.clone()
    without[2] = UNK
    with torch.inference_mode():
        first = [
            handler.network.step(torch.tensor([BEGIN]), handler.network.begin(ids[None]))[0].log_softmax(dim=1)
            for ids in (item.tokens, without)
        ]
    token = best.tokens[0]
    assert weights[0][2] == pytest.approx(float((first[0] - first[1])[0, token]), abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_long_text_is_truncated_on_request(worker, name):
    (response,) = worker(name).send(sample_request(text="2 0 2 4 " * 60, truncate=True))
    assert response.json["truncated"] is True
    assert worker(name).send(sample_request())[0].json["truncated"] is False
