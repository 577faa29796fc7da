"""DCGAN's training: the generator's labels, its metrics, and a run that was stopped."""

import base64
from types import SimpleNamespace

import pytest
import torch

import models
from marina.training import run
from marina.training.data import Split
from marina.training.tasks import image_generation
from marina.training.tasks.image_generation import ImageGeneration
from tests.training.kit import Stop, card_in, same, weights_of


@pytest.fixture
def classified(monkeypatch):
    """A reference classifier of "images" that are (digit, probability, brightness)."""

    def probabilities(files):
        rows = torch.zeros(len(files), 10)
        for row, file in zip(rows, files, strict=True):
            digit, sure, _ = file
            row[digit] = sure
        return rows

    codec = SimpleNamespace(pixels=lambda file: torch.full((1, 2, 2), file[2]))
    found = SimpleNamespace(labels=tuple(map(str, range(10))), probabilities=probabilities, codec=codec)
    monkeypatch.setattr(image_generation, "reference_classifier_of", lambda data: found)


REAL = SimpleNamespace(train=Split([(0, 1, 0), (0, 1, 20), (1, 1, 50), (1, 1, 70)], [0, 0, 1, 1]))  # each 10 off


def response(labels: list[int], files: list[tuple[int, float, int]]) -> dict:
    return {"labels": list(map(str, labels)), "images": files}


def test_what_is_measured(classified, monkeypatch):
    monkeypatch.setattr(base64, "b64decode", lambda image: image)
    every = [(digit, 0.95, 7 * digit) for digit in range(10)]
    sure = ImageGeneration.score([REAL], [response(list(range(10)), every)])
    assert sure == {"confident": 1, "as_told": 1, "classes": 10, "rarest": pytest.approx(0.1), "variety": 0}
    responses = [response([0, 0], [(0, 0.91, 0), (0, 0.89, 10)]), response([3, 3], [(3, 0.95, 9), (1, 0.2, 19)])]
    unsure = ImageGeneration.score([REAL], responses)
    assert (unsure["confident"], unsure["as_told"], unsure["classes"], unsure["rarest"]) == (0.5, 0.75, 3, 0)
    assert unsure["variety"] == pytest.approx(0.5)  # 5 off the mean, where real ones are 10 off


def test_a_stopped_run_goes_on_with_both_optimizers_and_the_average_as_they_were(card, small, classified, monkeypatch):
    card("dcgan", epochs=4, batch_size=64)
    monkeypatch.setattr(ImageGeneration, "score", staticmethod(lambda truths, responses: {"classes": 10.0}))
    whole = run.train("dcgan", "whole")
    stop = Stop(monkeypatch, ImageGeneration, epoch=2)
    with pytest.raises(SystemExit):
        run.train("dcgan", "stopped")
    assert stop.epochs == [0, 1]
    resumed = run.train("dcgan", "stopped")
    assert stop.epochs == [0, 1, 2, 3]
    assert same(weights_of(whole), weights_of(resumed))
    assert card_in(whole)["example"]["reply"] == {**card_in(resumed)["example"]["reply"], "version": "whole"}


def test_the_generator_learns_from_the_class_it_was_told():
    """With nobody to deceive, the class alone must move its weights."""
    torch.manual_seed(0)
    network = models.find("dcgan").network()
    discriminator = network.discriminator()
    z = torch.cat([torch.randn(8, 100), torch.eye(10)[:8]], dim=1)
    logits = discriminator(network(z))
    assert logits.shape == (8, 11)
    torch.nn.functional.cross_entropy(logits[:, 1:], torch.arange(8)).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in network.parameters())
