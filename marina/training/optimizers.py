"""Optimizer and learning rates of a recipe, with transfer learning.

A network that begins with pretrained weights has them in its backbone, `features`. At first everything but the backbone
learns, then all of it, each part at a learning rate of its own.
"""

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from models.card import Recipe

STEP_SHARE = 1 / 3  # of a run between two steps of the schedule "step"
PLATEAU_EPOCHS = 3  # without a better validation loss, for the schedule "plateau"


def build(groups: Iterable[dict[str, Any]], recipe: Recipe, steps: int) -> tuple[Optimizer, LRScheduler]:
    """Return the optimizer of these parameter groups, each with its own `lr`, and the schedule, which takes one step
    after each of `steps` steps.

    Fused, Adam's step over the two million weights of an embedding took an eighth of the time on a CPU. Lightning does
    not clip the gradients of fused optimizers in mixed precision.
    """
    optimizer: Optimizer
    groups, fused = list(groups), recipe.clip_norm is None
    match recipe.optimizer:
        case "sgd":
            optimizer = SGD(groups, recipe.lr, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay)
        case "adam":
            optimizer = Adam(groups, recipe.lr, weight_decay=recipe.weight_decay, fused=fused)
        case "adamw":
            optimizer = AdamW(groups, recipe.lr, weight_decay=recipe.weight_decay, fused=fused)
    return optimizer, schedule(optimizer, recipe, steps)


def schedule(optimizer: Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    """Return the recipe's learning rate schedule, which takes one step after each of `steps` steps.

    The one of `plateau` takes its step with the validation loss, after each epoch.
    """
    match recipe.schedule:
        case "constant":
            return ConstantLR(optimizer, factor=1.0)
        case "cosine":
            return CosineAnnealingLR(optimizer, T_max=steps)
        case "one_cycle":
            rates = [group["lr"] for group in optimizer.param_groups]
            return OneCycleLR(optimizer, max_lr=rates, total_steps=steps)
        case "step":
            share = (recipe.schedule_epochs or 0) / max(1, recipe.epochs) or STEP_SHARE
            return StepLR(optimizer, step_size=max(1, round(steps * share)), gamma=recipe.gamma)
        case "plateau":
            patience = PLATEAU_EPOCHS if recipe.schedule_epochs is None else recipe.schedule_epochs
            return ReduceLROnPlateau(optimizer, factor=recipe.gamma, patience=patience)


def for_lightning(optimizer: Optimizer, made: LRScheduler, monitored: str) -> dict[str, Any]:
    """Return the value for `configure_optimizers`; `monitored` is the name of the validation loss."""
    how = {"interval": "epoch", "monitor": monitored} if isinstance(made, ReduceLROnPlateau) else {"interval": "step"}
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": made, **how}}


def backbone(network: nn.Module) -> nn.Module:
    """Return the part of the network that begins with pretrained weights."""
    return network.get_submodule("features")


def has_backbone(network: nn.Module, recipe: Recipe) -> bool:
    """Return whether a part of the network begins with pretrained weights and may learn at another rate."""
    return recipe.pretrained is not None or (recipe.checkpoint is not None and hasattr(network, "features"))


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the optimizer's parameter groups: one, or backbone and head with a learning rate each."""
    if not has_backbone(network, recipe):
        return [{"params": list(network.parameters()), "lr": recipe.lr}]
    pretrained = list(backbone(network).parameters())
    head = [weight for weight in network.parameters() if all(weight is not one for one in pretrained)]
    return [{"params": pretrained, "lr": recipe.lr * recipe.backbone_lr}, {"params": head, "lr": recipe.lr}]


def freeze_backbone(network: nn.Module, recipe: Recipe, epoch: int) -> None:
    """Freeze the layers of the backbone that do not learn in this epoch; call it when the epoch begins.

    A frozen layer neither learns nor updates the running means of its batch normalisation.
    """
    if not has_backbone(network, recipe):
        return
    for place, layer in enumerate(backbone(network).children()):
        learns = epoch >= recipe.frozen_epochs and place >= recipe.kept_layers
        layer.requires_grad_(learns).train(learns)
