"""Optimizer and learning rates of a recipe, with transfer learning.

A network that begins with pretrained weights has them in its backbone, `features`. At first everything but the backbone
learns, then all of it, each part at a learning rate of its own.
"""

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR

from models.card import Recipe


def build(groups: Iterable[dict[str, Any]], recipe: Recipe, steps: int) -> tuple[Optimizer, LRScheduler]:
    """Return the optimizer of these parameter groups, each with its own `lr`, and the schedule, which takes one step
    after each of `steps` steps.

    Fused, Adam's step over the two million weights of an embedding took an eighth of the time on a CPU.
    """
    optimizer: Optimizer
    groups = list(groups)
    match recipe.optimizer:
        case "sgd":
            optimizer = SGD(groups, recipe.lr, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay)
        case "adam":
            optimizer = Adam(groups, recipe.lr, weight_decay=recipe.weight_decay, fused=True)
        case "adamw":
            optimizer = AdamW(groups, recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    return optimizer, schedule(optimizer, recipe, steps)


def schedule(optimizer: Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    """Return the recipe's learning rate schedule, which takes one step after each of `steps` steps."""
    match recipe.schedule:
        case "constant":
            return ConstantLR(optimizer, factor=1.0)
        case "cosine":
            return CosineAnnealingLR(optimizer, T_max=steps)
        case "one_cycle":
            rates = [group["lr"] for group in optimizer.param_groups]
            return OneCycleLR(optimizer, max_lr=rates, total_steps=steps)


def backbone(network: nn.Module) -> nn.Module:
    """Return the part of the network that begins with pretrained weights."""
    return network.get_submodule("features")


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the optimizer's parameter groups: one, or backbone and head with a learning rate each."""
    if recipe.pretrained is None:
        return [{"params": list(network.parameters()), "lr": recipe.lr}]
    pretrained = list(backbone(network).parameters())
    head = [weight for weight in network.parameters() if all(weight is not one for one in pretrained)]
    return [{"params": pretrained, "lr": recipe.lr * recipe.backbone_lr}, {"params": head, "lr": recipe.lr}]


def freeze_backbone(network: nn.Module, recipe: Recipe, epoch: int) -> None:
    """Freeze the layers of the backbone that do not learn in this epoch; call it when the epoch begins.

    A frozen layer neither learns nor updates the running means of its batch normalisation.
    """
    if recipe.pretrained is None:
        return
    for place, layer in enumerate(backbone(network).children()):
        learns = epoch >= recipe.frozen_epochs and place >= recipe.kept_layers
        layer.requires_grad_(learns).train(learns)
