"""Self-training: many labels from few (Lee 2013, "Pseudo-label"; Yarowsky 1995).

A network that was trained on the labelled part predicts the labels of the rest. Its confident predictions become
pseudo-labels, and a new network is trained on both; this is repeated for a few rounds.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from rich.console import Console
from torch import Tensor

from marina.training import tasks, trainer
from marina.training.data.batches import DistributedBatchSampler, Examples, data_loader
from marina.training.data.dataset import Dataset, Split, hold_out
from marina.training.hardware import Hardware
from marina.training.task import Task
from marina.training.tasks.common.classification import Classification
from models.card import Card, Recipe

CONFIDENCE = 0.95  # probability from which on a prediction becomes a pseudo-label
ROUNDS = 3
console = Console(soft_wrap=True, highlight=False)


def fit(
    card: Card,
    recipe: Recipe,
    data: Dataset,
    labels: float,
    hardware: Hardware,
    folder: Path,
    begin: Callable[[Task], None] = lambda _: None,
) -> tuple[Classification, Trainer, float, dict[str, Any]]:
    """Train with the share `labels` of the training labels, without looking at the others; each round begins with
    `begin(task)`.

    Returns the task and the trainer of the last round, the seconds of all rounds, and the facts for card.json. A
    stopped run resumes in the round in which it was. Raises ValueError unless the model is a classifier and
    0 < labels < 1.
    """
    kind = tasks.find(card.task)
    if not issubclass(kind, Classification) or not 0 < labels < 1:
        raise ValueError("--labels takes a share between 0 and 1, of the labels of a classifier")
    unlabelled, labelled = hold_out(data.train, labels)
    train, rounds, total = labelled, list[dict[str, float]](), 0.0
    for number in range(ROUNDS + 1):
        task = kind(card, recipe, replace(data, train=train))
        begin(task)
        run, seconds = trainer.fit(task, recipe, hardware, folder / f"round-{number}")
        total += seconds
        accuracy = accuracy_on_test_split(task)
        rounds.append({"pseudo_labels": len(train) - len(labelled), "accuracy": accuracy})
        console.print(f"  round {number}: {len(train)} examples, {accuracy:.4f} on the test split")
        train = concatenated(labelled, confident_predictions(task, unlabelled))
    facts: dict[str, Any] = {"share": labels, "labels": len(labelled), "unlabelled": len(unlabelled)}
    facts |= {"threshold": CONFIDENCE, "rounds": rounds}
    facts |= {"supervised": rounds[0]["accuracy"], "self_trained": rounds[-1]["accuracy"]}
    return task, run, total, {"self_training": facts}


def accuracy_on_test_split(task: Classification) -> float:
    """Return the accuracy of the network itself on the test split."""
    examples = task.encode(task.data.test)
    right = torch.as_tensor(examples.targets)
    return float((probabilities(task, examples).argmax(dim=1) == right).float().mean())


def confident_predictions(task: Classification, split: Split) -> Split:
    """Return the examples that the network is confident of, with its predictions as labels; the split's own labels are
    not used.
    """
    best = probabilities(task, task.encode(split)).max(dim=1)
    places = (best.values >= CONFIDENCE).nonzero().flatten().tolist()
    return Split([split.inputs[place] for place in places], best.indices[places].tolist())


def concatenated(one: Split, other: Split) -> Split:
    """Return the examples of both splits."""
    return Split([*one.inputs, *other.inputs], [*one.targets, *other.targets])


@torch.inference_mode()
def probabilities(task: Classification, examples: Examples) -> Tensor:
    """Return the probabilities of all classes, (N, classes), on the CPU."""
    task.eval()
    batches = data_loader(examples, DistributedBatchSampler(examples, 256, seed=None))
    outputs = [task.network(task.inputs(inputs.to(task.device))).float().softmax(dim=1).cpu() for inputs, _ in batches]
    return torch.cat(outputs)
