"""CycleGAN's training: the pool, each loss by itself, and a run that was stopped."""

import base64
import io
from dataclasses import replace

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

import models
from marina.training import data, run
from marina.training.tasks.image_translation import class_preservation
from marina.training.tasks.image_translation.cycle_losses import (
    ImagePool,
    discriminator_loss,
    generator_losses,
    with_noise,
)
from marina.training.tasks.image_translation.task import ImageTranslation
from tests.training.kit import Stop, card_in, same, weights_of

SIDES = [(split, domain) for split in ("train", "test") for domain in "AB"]


def images(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()


@pytest.fixture
def small_ab(elsewhere):
    """Two domains of plain colours, in files with classes: A is dark, B light."""
    for split, domain in SIDES:
        (elsewhere / "ab" / f"{split}{domain}").mkdir(parents=True)
        for number in range(24 if split == "train" else 4):
            shade = 5 * number + (0 if domain == "A" else 130)
            file = elsewhere / "ab" / f"{split}{domain}" / f"{number % 2}_{number}.png"
            Image.new("RGB", (32, 32), (shade, 10, shade)).save(file)
    return "./ab"


def test_a_pool_fills_up_and_then_gives_back_half_of_the_time_something_older():
    torch.manual_seed(0)
    pool = ImagePool(50, 1, 2, 2)
    first = images(*map(float, range(50)))
    assert torch.equal(pool.exchange(first), first)  # as long as there is room
    fresh = images(*map(float, range(100, 300)))
    given = pool.exchange(fresh)
    old = (given != fresh).flatten(1).any(dim=1)
    assert 70 < int(old.sum()) < 130
    assert {float(image.mean()) for image in given[old]} <= set(map(float, range(300)))
    assert len({float(image.mean()) for image in pool.images}) == 50  # nothing is in it twice
    everything = torch.cat([given, pool.images]).mean(dim=(1, 2, 3))
    assert sorted(everything.tolist()) == [*map(float, range(50)), *map(float, range(100, 300))]  # and nothing is lost


def test_a_pool_keeps_copies_without_a_graph_and_its_state_goes_into_checkpoints():
    pool, made = ImagePool(3, 1, 2, 2), images(1.0, 2.0).requires_grad_()
    given = pool.exchange(made)
    assert not given.requires_grad
    made.data.zero_()
    assert pool.images[:2].mean(dim=(1, 2, 3)).tolist() == [1, 2]
    again = ImagePool(3, 1, 2, 2)
    again.load_state_dict(pool.state_dict())
    assert int(again.held) == 2
    assert torch.equal(again.images, pool.images)


def test_each_loss_of_the_generators_is_what_its_definition_says():
    a, b = images(0.0, 1.0), images(4.0, 6.0)

    def losses(to_a, to_b, score=1.0):
        discriminator = lambda x: torch.full((len(x), 1, 3, 3), score)  # noqa: E731
        return {
            name: float(loss)
            for name, loss in generator_losses(to_a, to_b, (discriminator, discriminator), a, b)[0].items()
        }

    def same_as_it_is(x):
        return x

    assert losses(same_as_it_is, same_as_it_is) == {"generator": 0, "cycle": 0, "identity": 0}
    assert losses(same_as_it_is, same_as_it_is, score=0.0)["generator"] == 2  # nobody believes, in both domains
    there_and_back = losses(lambda x: x - 3, lambda x: x + 3)
    assert (there_and_back["cycle"], there_and_back["identity"]) == (0, 6)
    lost = losses(lambda x: 0 * x, same_as_it_is)  # a: 0 and 1 come back as 0 and 0; b: 4 and 6 as 0 and 0
    assert (lost["cycle"], lost["identity"]) == (0.5 + 5, 0.5)


def test_the_fakes_are_translations_and_discriminators_learn_to_tell_them():
    a, b = images(0.0), images(5.0)
    discriminator = lambda x: x  # noqa: E731
    _, (fake_a, fake_b) = generator_losses(lambda x: x - 1, lambda x: x + 2, (discriminator, discriminator), a, b)
    assert (float(fake_a.mean()), float(fake_b.mean())) == (4, 2)
    assert float(discriminator_loss(discriminator, images(1.0), images(0.0))) == 0
    assert float(discriminator_loss(discriminator, images(0.0), images(1.0))) == 1


def test_each_loss_moves_the_generators():
    torch.manual_seed(0)
    network = models.find("cyclegan").network()
    discriminators = [network.discriminator() for _ in range(2)]
    a, b = torch.rand(2, 3, 32, 32), -torch.rand(2, 3, 32, 32)
    for name in ("generator", "cycle", "identity"):
        losses, _ = generator_losses(network.to_a, network.to_b, discriminators, a, b)
        network.zero_grad()
        losses[name].backward()
        for generator in (network.to_a, network.to_b):
            assert all(weight.grad.abs().sum() > 0 for weight in generator.parameters()), name


def task_of(path: str, **recipe) -> ImageTranslation:
    card = models.find("cyclegan")
    return ImageTranslation(card, replace(card.recipe, **recipe), data.find(path).load())


def test_the_smaller_domain_comes_round_again(small_ab, elsewhere):
    for file in sorted((elsewhere / "ab" / "trainA").iterdir())[5:]:
        file.unlink()
    examples = task_of(small_ab).train_examples
    assert len(examples) == 21
    assert len(examples.inputs.flatten(1).unique(dim=0)) == 4
    assert len(examples.targets.flatten(1).unique(dim=0)) == 21


def test_requests_ask_for_the_other_domain(small_ab):
    requests = list(ImageTranslation.requests(data.find(small_ab).load()))
    assert [request.truth.origin.domain for request in requests] == [0, 1] * 4
    assert requests[0].content_type == "image/png"
    assert Image.open(io.BytesIO(requests[0].body)).size == (32, 32)
    assert b'"to": "A"' in requests[1].body


def test_without_classes_in_common_nothing_is_said_of_them(small_ab, elsewhere):
    dataset = data.find(small_ab).load()
    assert class_preservation.common(dataset) == ["0", "1"]
    for file in (elsewhere / "ab" / "trainB").iterdir():
        file.rename(file.with_name(f"x{file.name}"))
    dataset = data.find(small_ab).load()
    assert class_preservation.common(dataset) == []
    truths = [request.truth for request in ImageTranslation.requests(dataset)]
    assert ImageTranslation.score(truths, [{}] * len(truths)) == {}


def test_what_is_kept_is_counted_for_each_direction(small_ab, monkeypatch):
    """A reference classifier that reads the class off the red channel: 0 for dark, 1 for light."""

    class Reader:
        def __init__(self, dataset, name):
            assert set(dataset.train.targets) == {0, 1}
            assert dataset.labels == ("0", "1")

        def probabilities(self, files):
            light = [Image.open(io.BytesIO(file)).getpixel((0, 0))[0] > 127 for file in files]
            return nn.functional.one_hot(torch.tensor(light).long(), 2).float()

    monkeypatch.setattr(class_preservation, "ReferenceClassifier", Reader)

    def response(shade: int) -> dict[str, str]:
        buffer = io.BytesIO()
        Image.new("RGB", (32, 32), (shade, 0, 0)).save(buffer, "PNG")
        return {"image": base64.b64encode(buffer.getvalue()).decode()}

    truths = [request.truth for request in ImageTranslation.requests(data.find(small_ab).load())]
    names = [int(truth.origin.name) for truth in truths]
    responses = [response(255 * name) for name in names[:7]] + [response(255 * (1 - names[7]))]
    assert ImageTranslation.score(truths, responses) == {"kept_a_to_b": 1.0, "kept_b_to_a": 0.75}


def test_a_stopped_run_goes_on_with_pools_and_optimizers_as_they_were(card, small_ab, monkeypatch):
    card("cyclegan", epochs=4, batch_size=8)
    monkeypatch.setattr(ImageTranslation, "score", staticmethod(lambda truths, responses: {}))
    whole = run.train("cyclegan", "whole", small_ab)
    stop = Stop(monkeypatch, ImageTranslation, epoch=2)
    with pytest.raises(SystemExit):
        run.train("cyclegan", "stopped", small_ab)
    assert stop.epochs == [0, 1]
    resumed = run.train("cyclegan", "stopped", small_ab)
    assert stop.epochs == [0, 1, 2, 3]
    assert same(weights_of(whole), weights_of(resumed))
    assert card_in(whole)["metrics"] == card_in(resumed)["metrics"]
    assert {"cycle_l1", "identity_l1"} == set(card_in(whole)["metrics"])
    assert (whole / "plots" / "translated.png").is_file()


def test_training_logs_its_four_losses_apart_and_shows_translations(card, small_ab, monkeypatch):
    card("cyclegan", epochs=1, batch_size=8)
    monkeypatch.setattr(ImageTranslation, "score", staticmethod(lambda truths, responses: {}))
    tags = EventAccumulator(str(run.train("cyclegan", "logged", small_ab) / "logs")).Reload().Tags()
    assert {"loss/generator", "loss/discriminator", "loss/cycle", "loss/identity"} <= set(tags["scalars"])
    assert "images/translated" in tags["images"]


def test_quick_training_sees_both_domains(small_ab):
    few = run.quick_subset(data.find(small_ab).load()).train.head(2)
    assert [origin.domain for origin in few.targets] == [0, 1]


def test_noise_is_as_loud_as_it_was_asked_to_be():
    torch.manual_seed(0)
    heard = with_noise(lambda x: x, 0.05)(torch.zeros(4, 3, 64, 64))
    assert float(heard.std()) == pytest.approx(0.05, rel=0.05)
    assert float(heard.mean()) == pytest.approx(0, abs=0.002)
