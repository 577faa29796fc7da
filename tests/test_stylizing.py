"""The descent of a picture, by a network of one linear layer; and a text that is written token by token."""

import math

import pytest
import torch
from torch import nn

from handlers.codecs.phrases import END
from handlers.codecs.style import StyleCodec
from handlers.sampling import Sampling
from handlers.stylizing import Descent, Wish, gram, missed
from handlers.writing import Wish as Text
from handlers.writing import Writing


class Plain(nn.Module):
    """Features are the pixels, and twice the pixels."""

    CONTENT, STYLE = ("a",), ("a", "b")

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x.flatten(2) * self.one

    def split(self, features, height, width):
        assert features.shape[2] == height * width
        return {"a": features, "b": 2 * features}


CODEC = StyleCodec(64, 3, (0.5, 0.25, 0.75), (0.2, 0.3, 0.4))


def descent(steps=3) -> Descent:
    generator = torch.Generator().manual_seed(0)
    content, style = (torch.randint(0, 256, (3, 8, side), generator=generator, dtype=torch.uint8) for side in (6, 10))
    network = Plain()
    return Descent(network, network, CODEC, Wish(content, style, (6, 8), steps, False))


def test_correlations_and_what_is_missed_by_hand():
    maps = torch.tensor([[[1.0, 2, 3], [0, 1, -1]]])
    assert gram(maps).flatten().tolist() == pytest.approx([14 / 3, -1 / 3, -1 / 3, 2 / 3])
    assert float(missed(torch.tensor([1.0, 2]), torch.tensor([1.0, 4]))) == pytest.approx(4 / 17)
    assert float(missed(torch.tensor([1e-6]), torch.zeros(1))) == pytest.approx(1)


def test_losses_of_the_content_that_it_starts_from():
    job = descent()
    content, style = (CODEC.normalize(one).unsqueeze(0) for one in (job_content(), job_style()))
    found = job.losses()
    assert found.keys() == {"before", "after"}
    assert found["before"]["content"] == 0
    wanted = missed(gram(content.flatten(2)), gram(style.flatten(2)))  # of both layers alike
    assert found["before"]["style"] == pytest.approx(float(wanted), abs=1e-5)
    across, down = content.diff(dim=3).square().mean(), content.diff(dim=2).square().mean()
    assert found["before"]["variation"] == pytest.approx(float(across + down), rel=1e-5)
    assert found["after"] == pytest.approx(found["before"], abs=1e-4)
    assert all(loss == round(loss, 6) for losses in found.values() for loss in losses.values())
    assert torch.equal(job.pixels(), job_content())


def job_content():
    return torch.randint(0, 256, (3, 8, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def job_style():
    generator = torch.Generator().manual_seed(0)
    torch.randint(0, 256, (3, 8, 6), generator=generator, dtype=torch.uint8)
    return torch.randint(0, 256, (3, 8, 10), generator=generator, dtype=torch.uint8)


def test_each_step_says_how_far_it_is_and_the_loss_falls():
    job = descent()
    before = job.losses()["before"]
    lines = []
    while not job.done:
        lines.append(job.step())
    assert [(line["step"], line["of"]) for line in lines] == [(1, 3), (2, 3), (3, 3)]
    total = before["content"] + before["style"] + 0.1 * before["variation"]
    assert lines[0]["loss"] == pytest.approx(total, rel=1e-4)
    assert lines[2]["loss"] < lines[0]["loss"]
    assert job.output is job
    job.picture.data[:] = float("nan")
    assert job.step()["loss"] is None


def writing(length=3, **options) -> Writing:
    logits = torch.tensor([[0.0, 0, 0, 2, 1], [0, 0, 0, 1, 3], [5, 5, 0, 2, 1]])
    text = Text("ab", torch.tensor([END, 3, 4]), length, Sampling(**{"temperature": 0.0, **options}))
    return Writing(text, logits, torch.zeros(2))


def test_a_text_begins_with_what_was_read():
    job = writing()
    expected = torch.tensor([0.0, 0, 0, 2, 1]).log_softmax(0)[3] + torch.tensor([0.0, 0, 0, 1, 3]).log_softmax(0)[4]
    assert (job.log_likelihood, job.read) == (pytest.approx(float(expected), abs=1e-6), 2)
    assert job.perplexity == pytest.approx(math.exp(-float(expected) / 2))
    assert (job.ended, job.broken, job.done, job.added, job.output) == (False, False, False, [], job)


def test_the_next_token_is_never_a_mark_and_counts_as_it_was_likely():
    job = writing(length=2)
    before = job.log_likelihood
    assert job.write() == 3  # <PAD> and <UNK> are likelier
    chance = torch.tensor([5.0, 5, 0, 2, 1]).log_softmax(0)[3]
    assert job.log_likelihood == pytest.approx(before + float(chance), abs=1e-5)
    assert job.perplexity == pytest.approx(math.exp(-job.log_likelihood / 3))
    assert (job.added, job.done) == ([3], False)
    job.write()
    assert (job.added, job.done, job.ended) == ([3, 3], True, False)


def test_an_end_is_not_written_and_does_not_count():
    job = writing()
    job.logits = torch.tensor([0.0, 0, 9, 0, 0])
    before = job.log_likelihood
    assert job.write() == END
    assert (job.added, job.ended, job.done, job.log_likelihood) == ([], True, True, before)


def test_what_is_not_finite_breaks_it():
    for change in ("logits", "likelihood"):
        job = writing()
        if change == "logits":
            job.logits[1] = float("nan")
        else:
            job.log_likelihood = float("-inf")
        assert job.write() == END
        assert (job.broken, job.done, job.ended, job.added) == (True, True, False, [])


def test_a_text_of_nothing_has_no_perplexity():
    text = Text("", torch.tensor([END]), 0, Sampling(temperature=0.0))
    job = Writing(text, torch.zeros(1, 5), torch.zeros(2))
    assert (job.perplexity, job.done) == (None, True)
