"""DCGAN's training: what the generator is told, what is measured, and a run that was stopped."""

import base64
from types import SimpleNamespace

import pytest
import torch

import models
from tests.training.kit import Stop, card_in, same, weights_of
from training import fit
from training.tasks import image_generation
from training.tasks.image_generation import ImageGeneration


@pytest.fixture
def judged(monkeypatch):
    """A judge of "images" that are a digit and how sure one can be of it."""

    def probabilities(files):
        rows = torch.zeros(len(files), 10)
        for row, file in zip(rows, files, strict=True):
            digit, sure = file
            row[digit] = sure
        return rows

    found = SimpleNamespace(labels=tuple(map(str, range(10))), probabilities=probabilities)
    monkeypatch.setattr(image_generation, "judge", lambda data: found)


def reply(labels: list[int], files: list[tuple[int, float]]) -> dict:
    return {"labels": list(map(str, labels)), "images": files}


def test_what_is_measured(judged, monkeypatch):
    monkeypatch.setattr(base64, "b64decode", lambda image: image)
    every = [(digit, 0.95) for digit in range(10)]
    perfect = ImageGeneration.score([None], [reply(list(range(10)), every)])
    assert perfect == {"confident": 1, "as_told": 1, "classes": 10, "rarest": pytest.approx(0.1)}
    unsure = ImageGeneration.score([None], [reply([0, 0], [(0, 0.91), (0, 0.89)]), reply([3, 1], [(1, 0.9), (1, 0.2)])])
    assert unsure["confident"] == 0.5  # 0.9 in float32 is a little more than 0.9
    assert unsure["as_told"] == 0.75
    assert (unsure["classes"], unsure["rarest"]) == (2, 0)


def test_a_stopped_run_goes_on_with_both_optimisers_and_the_average_as_they_were(card, small, judged, monkeypatch):
    card("dcgan", epochs=4, batch_size=64)
    monkeypatch.setattr(ImageGeneration, "score", staticmethod(lambda truths, replies: {"classes": 10.0}))
    whole = fit.train("dcgan", "whole")
    stop = Stop(monkeypatch, ImageGeneration, epoch=2)
    with pytest.raises(SystemExit):
        fit.train("dcgan", "stopped")
    assert stop.epochs == [0, 1]
    resumed = fit.train("dcgan", "stopped")
    assert stop.epochs == [0, 1, 2, 3]
    assert same(weights_of(whole), weights_of(resumed))
    assert card_in(whole)["example"]["reply"] == {**card_in(resumed)["example"]["reply"], "version": "whole"}


def test_the_generator_learns_from_the_class_it_was_told():
    """With nobody to deceive, the class alone must move its weights."""
    torch.manual_seed(0)
    network = models.find("dcgan").network()
    discriminator = network.discriminator()
    z = torch.cat([torch.randn(8, 100), torch.eye(10)[:8]], dim=1)
    answers = discriminator(network(z))
    assert answers.shape == (8, 11)
    torch.nn.functional.cross_entropy(answers[:, 1:], torch.arange(8)).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in network.parameters())
