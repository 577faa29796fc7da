"""Transfer learning: all but the backbone, `features`, learns at first, then all, each part at a rate of its own."""

from typing import Any

from torch import nn

from models.card import Recipe


def backbone(network: nn.Module) -> nn.Module:
    """The part of the network that begins with pretrained weights."""
    return network.get_submodule("features")


def groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The optimiser's parameter groups."""
    if recipe.pretrained is None:
        return [{"params": list(network.parameters()), "lr": recipe.lr}]
    begun = list(backbone(network).parameters())
    fresh = [weight for weight in network.parameters() if all(weight is not one for one in begun)]
    return [{"params": begun, "lr": recipe.lr * recipe.backbone_lr}, {"params": fresh, "lr": recipe.lr}]


def freeze(network: nn.Module, recipe: Recipe, epoch: int) -> None:
    """To be called as an epoch begins: a frozen layer neither learns nor counts means for its normalisation."""
    if recipe.pretrained is None:
        return
    for place, layer in enumerate(backbone(network).children()):
        learns = epoch >= recipe.frozen_epochs and place >= recipe.kept_layers
        layer.requires_grad_(learns).train(learns)
