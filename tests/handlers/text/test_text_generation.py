"""Text generation: correct perplexity and tokens, and concurrent jobs."""

import math

import pytest
import torch

from handlers.codecs.phrases import END, NOT_GENERATED, PhraseCodec
from handlers.request import Request
from handlers.text.generation_job import GenerationJob
from models.rnn_lm import RNNLM
from tests.tasks.text_generation import sample_request

NAME = "rnn_lm"


def begun(worker, **more) -> GenerationJob:
    handler, request = worker(NAME).handler, sample_request(**more)
    return handler.begin(handler.decode(Request(request.fields, request.headers, "id")))


def test_the_perplexity_is_that_of_the_whole_text(worker):
    handler, job = worker(NAME).handler, begun(worker, length=6)
    while not job.done:
        handler.step([job])
    response = handler.encode(job, job.prompt)
    ids = torch.cat([job.prompt.tokens, torch.tensor(job.added)])
    with torch.inference_mode():
        chances = handler.network(ids[None])[0, :-1].log_softmax(dim=1).gather(1, ids[1:, None])
    assert response["perplexity"] == pytest.approx(math.exp(-float(chances.mean())), rel=1e-4)
    assert response["tokens"] == len(ids) - 1


def test_a_length_of_zero_returns_the_text(worker):
    (response,) = worker(NAME).send(sample_request(length=0))  # 房间 and 很好
    assert (response.json["text"], response.json["tokens"], response.json["ended"]) == ("房间很好", 2, False)


def test_the_seed_decides_and_without_temperature_nothing_does(worker):
    one, same, other = worker(NAME).send(
        sample_request(length=30), sample_request(length=30), sample_request(length=30, seed=2)
    )
    assert one.json["text"] == same.json["text"] != other.json["text"]
    cold = worker(NAME).send(sample_request(length=30, temperature=0), sample_request(length=30, temperature=0, seed=2))
    assert cold[0].json["text"] == cold[1].json["text"]


def test_texts_that_begin_at_different_times_get_what_they_would_get_alone(worker):
    handler = worker(NAME).handler
    alone = begun(worker, length=8, seed=5)
    while not alone.done:
        handler.step([alone])
    late, early = begun(worker, length=8, seed=5), begun(worker, text="服务", length=12, seed=6)
    handler.step([early])
    handler.step([early])
    while not late.done:
        handler.step([job for job in (early, late) if not job.done])
    assert late.added == alone.added
    assert late.perplexity == pytest.approx(alone.perplexity, rel=1e-4)


def test_each_step_returns_the_text_that_it_adds(worker):
    handler, job = worker(NAME).handler, begun(worker, length=5)
    streamed = []
    while not job.done:
        streamed += [line["token"] for line in handler.step([job]) if line]
    assert "".join(streamed) == handler.encode(job, job.prompt)["text"].removeprefix("房间很好")


def test_an_end_token_ends_the_job_and_is_not_part_of_the_text(worker):
    job = begun(worker, length=5, temperature=0)
    job.logits = (
        torch.zeros_like(job.logits)
        .index_fill(0, torch.tensor([*NOT_GENERATED]), 9)
        .index_fill(0, torch.tensor([END]), 5)
    )
    assert job.next_token() == END  # what must not be written was likelier
    assert job.done
    assert worker(NAME).handler.encode(job, job.prompt)["ended"] is True


def test_unknown_characters_are_returned(worker):
    (response,) = worker(NAME).send(sample_request(text="房间Ω很Ω好猫", length=0))
    assert response.json["unknown"] == ["Ω", "猫"]


def test_what_stands_together_often_is_one_token():
    codec = PhraseCodec.fit(["这家酒店，酒店１2", "酒店  这家12酒店 这"], vocabulary_size=100, max_characters=10)
    first, *rest = codec.numbers("  酒店\n酒 １２").tolist()
    assert first == END
    assert [codec.piece(number) for number in rest] == ["酒店", " ", "酒", " ", "1", "2"]


def test_dropout_leaves_out_the_same_units_of_each_token():
    network = RNNLM(20, hidden_size=64, embedding_dim=32)
    seen = network.read_dropout(torch.ones(3, 5, 32))
    assert {0.0, 1.25} == set(seen.unique().tolist())
    assert (seen == seen[:, :1]).all()
    assert not (seen[0] == seen[1]).all()


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("tied", [True, False])
def test_all_kinds_of_cells_go_on_where_they_stopped(cell, layers, tied):
    network = RNNLM(20, cell=cell, layers=layers, hidden_size=16, embedding_dim=8, tied=tied).eval()
    ids = torch.randint(3, 20, (2, 7))
    with torch.inference_mode():
        whole = network(ids)
        first, state = network.read(ids[:, :4], None)
        rest, _ = network.read(ids[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole, atol=1e-5, rtol=1e-5)
