"""Training speed: examples per second of `make train` relative to the plain loop of the course.

The plain loop is that of tutorials: one image at a time through Pillow and torchvision's transforms, collated, float32,
the default memory format. Both use the recipe's optimizer, schedule, batches and augmentation; the time is that of an
epoch without validation (ours includes checkpoints and logs).
`OMP_NUM_THREADS=1 python -m benchmarks.training_speed` measures what `make archive` gives each of its two jobs.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Timer
from PIL import Image
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

import models
from benchmarks import machine
from benchmarks.results import intervals
from marina.training import data, hardware, tasks, trainer
from marina.training.data.augmentation import TRANSFORMS
from marina.training.hardware import Hardware
from marina.training.tasks.image_classification.task import ImageClassification
from models.card import Card

REPORT = Path("var/reports/training.json")
EXAMPLES = {"resnet18": 640, "mobilenet_v1": 1280, "lenet": 3584}  # an epoch of some seconds
HARDWARE = Hardware("cpu", "1")


class Pictures(Dataset[tuple[Tensor, int]]):
    """A data set like torchvision's MNIST and CIFAR10: arrays in memory, converted and transformed on access."""

    def __init__(self, task: ImageClassification) -> None:
        pixels, targets = task.train_examples.inputs, task.train_examples.targets
        assert isinstance(pixels, Tensor)
        assert isinstance(targets, Tensor)
        self.arrays = [one.permute(1, 2, 0).numpy() for one in pixels]
        self.targets = targets.tolist()
        codec = task.codec
        steps = [TRANSFORMS[name](codec.size) for name in task.recipe.augment]
        tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(codec.mean, codec.std)]
        self.transform = v2.Compose([*steps, *tensor])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.arrays[place].squeeze())), self.targets[place]


def plain(task: ImageClassification) -> float:
    """Return the seconds of an epoch of the plain loop."""
    recipe, pictures = task.recipe, Pictures(task)
    torch.manual_seed(recipe.seed)
    network = task.card.network(**task.arguments)
    batches = DataLoader(pictures, recipe.batch_size, shuffle=True, drop_last=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    schedule = OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=len(batches))
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    start = time.perf_counter()
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss_of(network(inputs), targets).backward()
        optimizer.step()
        schedule.step()
    return time.perf_counter() - start


def ours(task: ImageClassification) -> float:
    """Return the seconds of an epoch of `make train`, without validation."""
    with tempfile.TemporaryDirectory() as folder:
        run, _ = trainer.fit(task, task.recipe, HARDWARE, Path(folder))
    (timer,) = (callback for callback in run.callbacks if isinstance(callback, Timer))  # type: ignore[attr-defined]
    return timer.time_elapsed("train") - timer.time_elapsed("validate")


def measure(card: Card, examples: int, repeats: int) -> dict[str, Any]:
    """Return the rates of both by round, after one warm-up round, in alternating order."""
    recipe = replace(card.recipe, epochs=1, patience=None)
    whole = data.find(card.data).load()
    some = replace(whole, train=whole.train.head(examples))

    def rate(seconds: Callable[[ImageClassification], float]) -> float:
        task = tasks.find(card.task)(card, recipe, some)
        assert isinstance(task, ImageClassification)
        return len(some.train) // recipe.batch_size * recipe.batch_size / seconds(task)

    rates: dict[str, dict[int, float]] = {"ours": {}, "plain": {}}
    for number in range(repeats + 1):
        for side in (ours, plain) if number % 2 else (plain, ours):
            rates[side.__name__][number] = rate(side)
    for each in rates.values():
        del each[0]
    ratio = intervals.of_ratio(rates["ours"], rates["plain"])
    assert ratio is not None
    medians = {name: intervals.of_median([*side.values()]) for name, side in rates.items()}
    return {
        "precision": hardware.training_precision(recipe, HARDWARE),
        "rates": rates,
        "medians": medians,
        "ratio": ratio,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(EXAMPLES), help="of images; by default: %(default)s")
    parser.add_argument("--repeats", type=int, default=7, help="pairs that count")
    options = parser.parse_args()
    facts: dict[str, Any] = machine.facts()
    threads = torch.get_num_threads()
    print(f"{facts['processor']}, {facts['cores']} cores, {threads} threads, {facts['versions']}")
    results = {}
    for name in options.models:
        found = measure(models.find(name), EXAMPLES.get(name, 1024), options.repeats)
        sides = ", ".join(f"{side} {median.text()} images/s" for side, median in found["medians"].items())
        print(f"{name} ({found['precision']}): {sides}, ratio {found['ratio'].text('.2f')}", flush=True)
        results[name] = found
    at = datetime.now(UTC).isoformat(timespec="seconds")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    report = {"at": at, "machine": facts, "threads": threads, "models": results}
    REPORT.write_text(json.dumps(report, default=asdict, indent=1) + "\n")
    print(f"written to {REPORT}")


if __name__ == "__main__":
    main()
