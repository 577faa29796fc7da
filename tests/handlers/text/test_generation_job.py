"""A text that is generated token by token."""

import math

import pytest
import torch

from handlers.codecs.phrases import END
from handlers.text.generation_job import GenerationInput, GenerationJob
from handlers.text.token_sampling import Sampling


def generation_job(length=3, **options) -> GenerationJob:
    logits = torch.tensor([[0.0, 0, 0, 2, 1], [0, 0, 0, 1, 3], [5, 5, 0, 2, 1]])
    text = GenerationInput("ab", torch.tensor([END, 3, 4]), length, Sampling(**{"temperature": 0.0, **options}))
    return GenerationJob(text, logits, torch.zeros(2))


def test_a_job_starts_with_the_likelihood_of_the_prompt():
    job = generation_job()
    expected = torch.tensor([0.0, 0, 0, 2, 1]).log_softmax(0)[3] + torch.tensor([0.0, 0, 0, 1, 3]).log_softmax(0)[4]
    assert (job.log_likelihood, job.prompt_count) == (pytest.approx(float(expected), abs=1e-6), 2)
    assert job.perplexity == pytest.approx(math.exp(-float(expected) / 2))
    assert (job.ended, job.not_finite, job.done, job.added, job.output) == (False, False, False, [], job)


def test_the_next_token_is_no_special_one_and_adds_its_likelihood():
    job = generation_job(length=2)
    before = job.log_likelihood
    assert job.next_token() == 3  # <PAD> and <UNK> are more probable
    chance = torch.tensor([5.0, 5, 0, 2, 1]).log_softmax(0)[3]
    assert job.log_likelihood == pytest.approx(before + float(chance), abs=1e-5)
    assert job.perplexity == pytest.approx(math.exp(-job.log_likelihood / 3))
    assert (job.added, job.done) == ([3], False)
    assert job.next_token() == 3  # the same one: its step is not complete, and is tried again
    assert job.added == [3]
    job.drawn = None
    job.next_token()
    assert (job.added, job.done, job.ended) == ([3, 3], True, False)


def test_the_end_token_is_not_added_and_does_not_count():
    job = generation_job()
    job.logits = torch.tensor([0.0, 0, 9, 0, 0])
    before = job.log_likelihood
    assert job.next_token() == END
    assert (job.added, job.ended, job.done, job.log_likelihood) == ([], True, True, before)


def test_values_that_are_not_finite_end_the_job():
    for change in ("logits", "likelihood"):
        job = generation_job()
        if change == "logits":
            job.logits[1] = float("nan")
        else:
            job.log_likelihood = float("-inf")
        assert job.next_token() == END
        assert (job.not_finite, job.done, job.ended, job.added) == (True, True, False, [])


def test_an_empty_text_has_no_perplexity():
    text = GenerationInput("", torch.tensor([END]), 0, Sampling(temperature=0.0))
    job = GenerationJob(text, torch.zeros(1, 5), torch.zeros(2))
    assert (job.perplexity, job.done) == (None, True)
