"""From a CARD to artifacts/<name>/<version>/."""

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

import models
from models.card import Card
from training import artifacts
from training.data import Dataset, Found, find
from training.fingerprint import fingerprint
from training.hardware import Hardware

Preset = Literal["full", "quick"]
QUICK = {"train": 256, "validation": 64, "test": 64}  # examples, for one epoch
console = Console(soft_wrap=True, highlight=False)


def train(
    name: str,
    version: str = "1.0",
    data: str | None = None,
    preset: Preset = "full",
    hardware: Hardware | None = None,
    position: str = "",
    labels: float = 1.0,
) -> Path:
    """Train the model called `name` and return the folder of its artifacts. `labels` is the share of the training
    labels that it may see, below 1 for self-training.

    Does no more than refresh the card if they are there and nothing that they depend on has changed. Goes on from the
    last checkpoint of a run that was stopped. Raises LookupError for an unknown model, task or data set, and
    ValueError for files that are not as their layout has it.
    """
    card = models.find(name)
    found = find(data or card.data)
    recipe = card.recipe if preset == "full" else replace(card.recipe, epochs=min(1, card.recipe.epochs), patience=None)
    mark = fingerprint(card, recipe, found.sha256, preset if labels == 1 else f"{preset}, {labels} of the labels")
    folder, scratch = artifacts.folder_of(name, version), artifacts.scratch_of(name, version)
    title = f"{name} {version}{f', model {position}' if position else ''}"
    done = artifacts.finished(folder)
    if done is not None and done["fingerprint"] == mark:
        artifacts.write_json(done | said_of(card), folder / artifacts.CARD)
        console.print(f"{title}: up to date")
        return folder
    console.print(f"[bold]{title}[/]: {card.task} on {found.name} ({found.kind}), preset {preset}")

    from training import evaluation, self_training, tasks, trainer  # Lightning takes seconds: not for "up to date"

    if is_first():
        artifacts.begin(scratch, mark)
    kind = tasks.find(card.task)
    dataset = found.load(card.task) if preset == "full" else quick(found.load(card.task), kind.QUICK)
    hardware, more = hardware or Hardware(), dict[str, Any]()
    try:
        if labels == 1:
            task = kind(card, recipe, dataset)
            run, seconds = trainer.fit(task, recipe, hardware, scratch)
        else:
            task, run, seconds, more = self_training.fit(card, recipe, dataset, labels, hardware, scratch)
    except SystemExit:  # Lightning's answer to Ctrl-C
        console.print(f"{title}: stopped; the same command goes on from the last checkpoint")
        raise
    if run.is_global_zero:
        facts: dict[str, Any] = {
            "version": version,
            "preset": preset,
            "data": facts_of(found, dataset),
            "recipe": asdict(recipe),
        }
        facts |= {"seed": recipe.seed, "seconds": round(seconds, 1), "fingerprint": mark}
        result = evaluation.evaluate(task, said_of(card) | facts | more, scratch)
        artifacts.finish(scratch, folder)
        say(title, card, result)
    return folder


def said_of(card: Card) -> dict[str, Any]:
    """What card.json repeats of the CARD, which may change without training again."""
    return {
        "name": card.name,
        "task": card.task,
        "input": dict(card.input),
        "serving": asdict(card.serving),
        "floor": dict(card.floor),
        "anchor": card.anchor,
        "source": card.source,
    }


def facts_of(found: Found, data: Dataset) -> dict[str, Any]:
    """Which data it was. `note` is there where the data set has one."""
    facts = {"name": found.name, "sha256": found.sha256, "kind": found.kind, "sizes": data.sizes}
    return facts | ({"note": data.note} if data.note else {})


def quick(data: Dataset, counts: Mapping[str, int] | None = None) -> Dataset:
    """The first examples of each split; `counts` are those of a task, where it has some of its own."""
    return data.head({**QUICK, **(counts or {})})


def is_first() -> bool:
    """Is this the first process of the run? Lightning starts this program again for each further device."""
    return all(int(os.environ.get(name, 0)) == 0 for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))


def say(title: str, card: Card, result: dict[str, Any]) -> None:
    """One line of figures, and what is below its floor."""
    figures = ", ".join(f"{metric} {value:.4f}" for metric, value in result["metrics"].items())
    console.print(f"{title}: {figures} (trained in {result['seconds']:.0f} s)")
    if result["preset"] == "full":
        for line in card.below_floor(result["metrics"]):
            console.print(f"  [red]below the floor[/]: {line}")
