"""Cross validation of small networks: all splits are trained at once, as one network with a leading dimension."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import KFold, LeaveOneOut, train_test_split
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.optim.lr_scheduler import ReduceLROnPlateau

from handlers.codecs.tabular import TableCodec
from marina.training import optimizers
from marina.training.data.dataset import Dataset
from models.card import Recipe

RANDOM_SPLITS = 20
FOLDS = 10
LEAVE_ONE_OUT_ROWS = 100
Place = tuple[Sequence[int], Sequence[int]]  # rows to train on, rows to test on


def evaluate(network: Callable[..., nn.Module], recipe: Recipe, data: Dataset) -> dict[str, dict[str, Any]]:
    """Return the RMSE over 20 random 90/10 splits (seeds 0 to 19), ten folds, and leave-one-out, in the target's units.

    Each split has a codec of its own. Leave-one-out is over LEAVE_ONE_OUT_ROWS rows, drawn at random: all would take
    minutes.
    """
    parts = (data.train, data.validation, data.test)
    rows = torch.tensor([row for part in parts for row in part.inputs])  # (N, C)
    targets = torch.tensor([target for part in parts for target in part.targets])  # (N,)
    count = np.arange(len(targets))
    random = [train_test_split(count, test_size=0.1, random_state=seed) for seed in range(RANDOM_SPLITS)]
    folds = list(KFold(FOLDS, shuffle=True, random_state=recipe.seed).split(count))
    alone = list(LeaveOneOut().split(count))
    drawn = np.random.default_rng(recipe.seed).permutation(len(alone))[:LEAVE_ONE_OUT_ROWS]
    # In one go, for a step of two hundred networks takes little longer than a step of twenty.
    errors = squared_errors(network, recipe, rows, targets, [*random, *folds, *(alone[place] for place in drawn)])
    left_out = errors[RANDOM_SPLITS + FOLDS :]
    return {
        "random_splits": summary(errors[:RANDOM_SPLITS]),
        "ten_fold": summary(errors[RANDOM_SPLITS : RANDOM_SPLITS + FOLDS]),
        "leave_one_out": {"rmse": float(torch.cat(left_out).mean().sqrt()), "n": len(left_out)},
    }


def summary(errors: Sequence[Tensor]) -> dict[str, Any]:
    """Return the RMSE of each split, from the squared errors of its rows, with mean and standard error."""
    each = torch.stack([error.mean().sqrt() for error in errors])
    return {
        "rmse_mean": float(each.mean()),
        "standard_error": float(each.std()) / len(each) ** 0.5,
        "n": len(each),
        "each": [round(float(rmse), 4) for rmse in each],
    }


def squared_errors(
    network: Callable[..., nn.Module], recipe: Recipe, rows: Tensor, targets: Tensor, places: Sequence[Place]
) -> list[Tensor]:
    """Train a network on each split of rows (N, C) and targets (N,), and return its squared error on each row left out.

    Training follows the recipe, except that all splits train on as many rows as the smallest: 455 of 506, in
    leave-one-out too.
    """
    columns = [str(column) for column in range(rows.shape[1])]
    codecs = [TableCodec.fit(columns, rows[train], "", targets[train]) for train, _ in places]
    x = torch.stack([codec.standardize(rows) for codec in codecs])  # (M, N, C), M being the number of splits
    y = torch.stack([codec.standardize_target(targets) for codec in codecs])  # (M, N)
    torch.manual_seed(recipe.seed)
    nets = [network(in_features=rows.shape[1]) for _ in places]
    parameters, buffers = stack_module_state(nets)  # each (M, ...)

    def forward(own: dict[str, Tensor], own_buffers: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return functional_call(nets[0], (own, own_buffers), (inputs,))

    together = torch.vmap(forward, randomness="different")
    fewest = min(len(train) for train, _ in places)
    size = min(recipe.batch_size, fewest)
    batches = fewest // size
    own = torch.stack([torch.as_tensor(train)[:fewest] for train, _ in places])  # (M, fewest)
    optimizer, schedule = optimizers.build(
        [{"params": [*parameters.values()], "lr": recipe.lr}], recipe, recipe.epochs * batches
    )
    split = torch.arange(len(places)).unsqueeze(1)  # (M, 1)
    for _ in range(recipe.epochs):
        order = own.gather(1, torch.rand(own.shape).argsort(dim=1))  # each row in an order of its own
        for batch in torch.split(order[:, : batches * size], size, dim=1):  # (M, size)
            optimizer.zero_grad()
            losses = (together(parameters, buffers, x[split, batch]) - y[split, batch]).square().mean(dim=1)
            torch.autograd.backward(losses.sum())  # the sum: no split's gradient touches another's
            if recipe.clip_norm is not None:
                clip_each([*parameters.values()], recipe.clip_norm)
            optimizer.step()
            if not isinstance(schedule, ReduceLROnPlateau):
                schedule.step()
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(float(losses.detach().mean()))
    for net in nets:
        net.eval()
    with torch.inference_mode():
        outputs = together(parameters, buffers, x)  # (M, N)
    return [
        ((outputs[m, test] - y[m, test]) * codec.target_std).square()
        for m, ((_, test), codec) in enumerate(zip(places, codecs, strict=True))
    ]


def clip_each(parameters: Sequence[Tensor], norm: float) -> None:
    """Bound the norm of the gradient of each split's own network; parameters are (M, ...)."""
    gradients = [weight.grad for weight in parameters if weight.grad is not None]
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)  # (M,)
    for gradient in gradients:
        gradient.mul_((norm / (norms + 1e-6)).clamp(max=1).view(-1, *[1] * (gradient.dim() - 1)))
