"""Fitting of a table network outside of Lightning, as the folds need it: the same loss, batches and schedule."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from handlers.tables.table_schema import TableSchema
from marina.training import optimizers
from models.card import Recipe

MAX_STEPS = 64  # of an epoch; larger tables have larger batches


class EncodedRows(NamedTuple):
    """Codes, (N, codes), and targets: numbers or classes, (N,)."""

    codes: Tensor
    targets: Tensor


def sized(recipe: Recipe, rows: int) -> Recipe:
    """Return the recipe with a batch size with which an epoch has MAX_STEPS steps at most.

    >>> sized(Recipe(epochs=1, batch_size=16, lr=0.1), 1_000_000).batch_size
    15625
    """
    return replace(recipe, batch_size=max(recipe.batch_size, -(-rows // MAX_STEPS)))


def loss(outputs: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Return the mean loss over rows and, in training, members.

    outputs: (N,) or (N, E), with classes log-probabilities, (N, classes) or (N, E, classes); targets: (N,).
    """
    if classes:
        members = outputs if outputs.dim() == 3 else outputs.unsqueeze(1)
        repeated = targets.unsqueeze(1).expand(members.shape[:2])
        return nn.functional.nll_loss(members.flatten(0, 1), repeated.flatten())
    members = outputs if outputs.dim() == 2 else outputs.unsqueeze(1)
    return (members - targets.unsqueeze(1)).square().mean()


def fit(
    network: Callable[..., nn.Module], recipe: Recipe, schema: TableSchema, train: EncodedRows, validation: EncodedRows
) -> nn.Module:
    """Return a network fitted to encoded rows, in evaluation mode: as in training, `patience` ends with the best
    weights.
    """
    torch.manual_seed(recipe.seed)
    classes = 0 if train.targets.is_floating_point() else int(torch.cat([train.targets, validation.targets]).max()) + 1
    fitted = network(in_features=schema.width, num_classes=classes)
    recipe = sized(recipe, len(train.codes))
    size = min(recipe.batch_size, len(train.codes))
    steps = len(train.codes) // size
    groups = [{"params": list(fitted.parameters()), "lr": recipe.lr}]
    optimizer, schedule = optimizers.build(groups, recipe, recipe.epochs * steps)
    features, held_out = schema.features(train.codes), schema.features(validation.codes)
    best, least, waited = fitted.state_dict(), float("inf"), 0
    for _ in range(recipe.epochs):
        fitted.train()
        for rows in torch.split(torch.randperm(len(train.codes))[: steps * size], size):
            optimizer.zero_grad()
            torch.autograd.backward(loss(fitted(features[rows]), train.targets[rows], classes))
            optimizer.step()
            schedule.step()
        if recipe.patience is None:
            continue
        with torch.no_grad():
            now = float(loss(fitted.eval()(held_out), validation.targets, classes))
        waited = 0 if now < least else waited + 1
        if now < least:
            best, least = copy.deepcopy(fitted.state_dict()), now
        if waited >= recipe.patience:
            break
    if recipe.patience is not None:
        fitted.load_state_dict(best)
    return fitted.eval()
