"""Transfer learning: the last layer alone at first, then all, each part at a learning rate of its own."""

from typing import Any

from torch import nn

from models.card import Recipe


def parts(network: nn.Module) -> tuple[list[nn.Module], nn.Module]:
    """The backbone's modules, and the head: the module that comes last."""
    *backbone, head = network.children()
    return backbone, head


def groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The optimiser's parameter groups."""
    if recipe.pretrained is None:
        return [{"params": list(network.parameters()), "lr": recipe.lr}]
    backbone, head = parts(network)
    weights = [weight for module in backbone for weight in module.parameters()]
    return [
        {"params": weights, "lr": recipe.lr * recipe.backbone_lr},
        {"params": list(head.parameters()), "lr": recipe.lr},
    ]


def freeze(network: nn.Module, recipe: Recipe, epoch: int) -> None:
    """To be called as an epoch begins: a frozen backbone neither learns nor counts means for its normalisations."""
    if recipe.pretrained is None:
        return
    frozen = epoch < recipe.frozen_epochs
    for module in parts(network)[0]:
        module.requires_grad_(not frozen).train(not frozen)
