"""Schedules of the learning rate, clipped gradients, and augmentations by name."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

import models
from marina.training import optimizers, run
from marina.training.data.augmentation import TRANSFORMS, Augmentation
from marina.training.tasks.common.boxes import BoxAugment
from marina.training.tasks.tabular_regression.cross_validation import clip_each
from models.card import Recipe
from tests.support.own_images import image_folders
from tests.training.kit import card_in

RECIPE = Recipe(epochs=6, batch_size=1, lr=1.0)


def rates(recipe: Recipe, steps: int) -> list[float]:
    weight = nn.Parameter(torch.zeros(1))
    optimizer, schedule = optimizers.build([{"params": [weight], "lr": recipe.lr}], recipe, steps)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return [round(rate, 6) for rate in seen]


def test_step_lowers_the_rate_every_third_of_the_run():
    assert rates(replace(RECIPE, schedule="step"), 6) == [1, 1, 0.1, 0.1, 0.01, 0.01]


def test_step_lowers_the_rate_after_the_given_epochs():
    recipe = replace(RECIPE, schedule="step", gamma=0.5, schedule_epochs=2)
    assert rates(recipe, 12) == [1] * 4 + [0.5] * 4 + [0.25] * 4  # two steps an epoch


def test_plateau_lowers_the_rate_when_the_validation_loss_stays():
    weight = nn.Parameter(torch.zeros(1))
    recipe = replace(RECIPE, schedule="plateau", schedule_epochs=1)
    optimizer, schedule = optimizers.build([{"params": [weight], "lr": 1.0}], recipe, 9)
    assert isinstance(schedule, ReduceLROnPlateau)
    assert optimizers.for_lightning(optimizer, schedule, "loss/validation")["lr_scheduler"] == {
        "scheduler": schedule,
        "interval": "epoch",
        "monitor": "loss/validation",
    }
    seen = []
    for loss in (3, 2, 2, 2, 2):
        schedule.step(loss)
        seen.append(round(optimizer.param_groups[0]["lr"], 6))
    assert seen == [1, 1, 1, 0.1, 0.1]


def test_a_run_with_plateau_and_clipped_gradients_ends(elsewhere):
    """With a norm of nothing, the weights hardly move."""
    image_folders(elsewhere / "mine")
    own = {"recipe.schedule": "plateau", "recipe.clip_norm": 1e-9, "recipe.epochs": 1, "recipe.optimizer": "sgd"}
    own |= {"recipe.augment": ("flip", "vertical_flip", "resized_crop", "gray")}
    recipe = card_in(run.train("lenet", data="mine", own=own))["recipe"]
    assert (recipe["clip_norm"], recipe["schedule"]) == (1e-9, "plateau")
    assert recipe["augment"] == ["flip", "vertical_flip", "resized_crop", "gray"]


def test_gradients_are_clipped(card, small, monkeypatch):
    norms = []
    usual = optimizers.SGD.step

    def step(self, closure=None):
        loss = usual(self, closure)
        gradients = [weight.grad for group in self.param_groups for weight in group["params"]]
        norms.append(float(torch.stack([gradient.norm() for gradient in gradients]).norm()))
        return loss

    monkeypatch.setattr(optimizers.SGD, "step", step)
    card("lenet", epochs=1, optimizer="sgd", clip_norm=0.01, precision="bf16")
    run.train("lenet")
    assert norms
    assert max(norms) <= 0.0101


def test_the_gradient_of_each_split_has_its_own_norm():
    weight = torch.zeros(2, 3, requires_grad=True)
    weight.grad = torch.tensor([[3.0, 4.0, 0.0], [0.3, 0.4, 0.0]])
    clip_each([weight], 1.0)
    assert weight.grad.norm(dim=1).tolist() == pytest.approx([1.0, 0.5], abs=1e-4)


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_every_augmentation_keeps_the_shape(name):
    torch.manual_seed(0)
    pixels = torch.randint(256, (20, 3, 24, 24), dtype=torch.uint8)
    assert Augmentation([name], 24)(pixels).shape == pixels.shape


@pytest.mark.parametrize(("name", "box"), [("flip", [22, 2, 30, 12]), ("vertical_flip", [2, 20, 10, 30])])
def test_boxes_and_masks_are_flipped_along(name, box):
    pixels = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    pixels[..., 2:12, 2:10] = 255
    target = {
        "boxes": torch.tensor([[2.0, 2, 10, 12]]),
        "labels": torch.tensor([1]),
        "masks": (pixels[:, 0] > 0).to(torch.uint8),
    }
    augment, found = BoxAugment([name], (0.5, 0.5, 0.5)), set()
    for seed in range(8):
        torch.manual_seed(seed)
        flipped, (moved,) = augment(pixels, [target])
        assert torch.equal(moved["masks"][0] > 0, flipped[0, 0] > 0)
        found.add(tuple(moved["boxes"][0].int().tolist()))
    assert found == {(2, 2, 10, 12), tuple(box)}


def test_a_network_that_starts_from_a_checkpoint_may_freeze_its_backbone():
    network = models.find("finetuned").network()
    recipe = replace(RECIPE, checkpoint="0" * 64, frozen_epochs=1, backbone_lr=0.5)
    optimizers.freeze_backbone(network, recipe, 0)
    assert not any(weight.requires_grad for weight in network.features.parameters())
    assert len(optimizers.parameter_groups(network, recipe)) == 2
    assert len(optimizers.parameter_groups(nn.Linear(2, 2), recipe)) == 1, "it has no part called features"
