"""Self-training: of few labels make many (Lee 2013, "Pseudo-label"; Yarowsky 1995).

A network that learned from the labelled part says what the rest shows; where it is sure, it is taken at its word, and
a new network learns from both. And again, a few rounds.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from rich.console import Console
from torch import Tensor

from models.card import Card, Recipe
from training import tasks, trainer
from training.batches import Batches, Examples, loader
from training.classification import Classification
from training.data.dataset import Dataset, Split, part
from training.hardware import Hardware

SURE = 0.95
ROUNDS = 3
console = Console(soft_wrap=True, highlight=False)


def fit(
    card: Card, recipe: Recipe, data: Dataset, labels: float, hardware: Hardware, folder: Path
) -> tuple[Classification, Trainer, float, dict[str, Any]]:
    """Train with that share of the labels, the others unseen. Returns the last round's task and trainer, the seconds of
    all rounds, and what the card says of them. A run that was stopped goes on in the round where it was.

    Raises ValueError unless it is a classifier and 0 < labels < 1.
    """
    kind = tasks.find(card.task)
    if not issubclass(kind, Classification) or not 0 < labels < 1:
        raise ValueError("--labels takes a share between 0 and 1, of the labels of a classifier")
    unlabelled, labelled = part(data.train, labels)
    train, said, total = labelled, list[dict[str, float]](), 0.0
    for number in range(ROUNDS + 1):
        task = kind(card, recipe, replace(data, train=train))
        run, seconds = trainer.fit(task, recipe, hardware, folder / f"round-{number}")
        total += seconds
        accuracy = accuracy_of(task)
        said.append({"pseudo_labels": len(train) - len(labelled), "accuracy": accuracy})
        console.print(f"  round {number}: {len(train)} examples, {accuracy:.4f} on the test split")
        train = joined(labelled, sure_of(task, unlabelled))
    facts = {"labels": len(labelled), "unlabelled": len(unlabelled), "threshold": SURE, "rounds": said}
    facts |= {"supervised": said[0]["accuracy"], "self_trained": said[-1]["accuracy"]}
    return task, run, total, {"self_training": facts}


def accuracy_of(task: Classification) -> float:
    """On the test split, by the network itself."""
    examples = task.encode(task.data.test)
    assert isinstance(examples.targets, Tensor)
    return float((probabilities(task, examples).argmax(dim=1) == examples.targets).float().mean())


def sure_of(task: Classification, split: Split) -> Split:
    """The examples that the network is sure of, with what it takes them for; their own labels are not looked at."""
    best = probabilities(task, task.encode(split)).max(dim=1)
    places = (best.values >= SURE).nonzero().flatten().tolist()
    return Split([split.inputs[place] for place in places], best.indices[places].tolist())


def joined(one: Split, other: Split) -> Split:
    return Split([*one.inputs, *other.inputs], [*one.targets, *other.targets])


@torch.inference_mode()
def probabilities(task: Classification, examples: Examples) -> Tensor:
    """(N, classes), on the processor."""
    task.eval()
    batches = loader(examples, Batches(examples, 256, seed=None))
    outputs = [task.network(task.inputs(inputs.to(task.device))).float().softmax(dim=1).cpu() for inputs, _ in batches]
    return torch.cat(outputs)
