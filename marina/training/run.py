"""Training of a model: from its CARD to artifacts/<name>/<version>/."""

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

import models
from marina.training import artifacts
from marina.training.data import Dataset, DatasetSource, find
from marina.training.fingerprint import fingerprint, trained_alike
from marina.training.hardware import Hardware
from models.card import Card

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
    """Train the model called `name` and return the folder of its artifacts.

    `data` is the name or path of another data set than the CARD's, `labels` the share of the training labels that may
    be used (below 1: self-training), `position` is printed, such as "3 of 7". If the artifacts exist and nothing that
    they depend on has changed, only their card is refreshed. A stopped run resumes from its last checkpoint. Raises
    LookupError for an unknown model, task or data set, and ValueError for files that do not follow their format.
    """
    card = models.find(name)
    found = find(data or card.data)
    recipe = card.recipe if preset == "full" else replace(card.recipe, epochs=min(1, card.recipe.epochs), patience=None)
    mark = fingerprint(card, recipe, found.sha256, preset if labels == 1 else f"{preset}, {labels} of the labels")
    folder, scratch = artifacts.folder_of(name, version), artifacts.scratch_of(name, version)
    title = f"{name} {version}{f', model {position}' if position else ''}"
    done = artifacts.finished(folder)
    if done is not None and (
        done["fingerprint"] == mark or trained_alike(done, folder, card, recipe, found.sha256, preset, labels)
    ):
        artifacts.write_json(done | card_facts(card) | {"fingerprint": mark}, folder / artifacts.CARD)
        console.print(f"{title}: up to date")
        return folder
    console.print(f"[bold]{title}[/]: {card.task} on {found.name} ({found.kind}), preset {preset}")

    from marina.training import (  # Lightning takes seconds to import, which "up to date" does not need
        evaluation,
        self_training,
        tasks,
        trainer,
    )

    if is_first_process():
        artifacts.begin(scratch, mark)
    kind = tasks.find(card.task)
    dataset = found.load(card.task) if preset == "full" else quick_subset(found.load(card.task), kind.QUICK)
    hardware, more = hardware or Hardware(), dict[str, Any]()
    try:
        if labels == 1:
            task = kind(card, recipe, dataset)
            run, seconds = trainer.fit(task, recipe, hardware, scratch)
        else:
            task, run, seconds, more = self_training.fit(card, recipe, dataset, labels, hardware, scratch)
    except SystemExit:  # Lightning's reaction to Ctrl-C
        console.print(f"{title}: stopped; the same command resumes from the last checkpoint")
        raise
    if run.is_global_zero:
        facts: dict[str, Any] = {
            "version": version,
            "preset": preset,
            "data": data_facts(found, dataset),
            "recipe": asdict(recipe),
        }
        facts |= {"seed": recipe.seed, "seconds": round(seconds, 1), "fingerprint": mark}
        result = evaluation.evaluate(task, card_facts(card) | facts | more, scratch)
        artifacts.finish(scratch, folder)
        print_result(title, card, result)
    return folder


def card_facts(card: Card) -> dict[str, Any]:
    """Return the members of card.json that are copied from the CARD, and may change without training again."""
    return {
        "name": card.name,
        "task": card.task,
        "input": dict(card.input),
        "serving": asdict(card.serving),
        "floor": dict(card.floor),
        "anchor": card.anchor,
        "source": card.source,
    }


def data_facts(found: DatasetSource, data: Dataset) -> dict[str, Any]:
    """Return the identity of the data for card.json; `note` is a member if the data set has one."""
    facts = {"name": found.name, "sha256": found.sha256, "kind": found.kind, "sizes": data.sizes}
    return facts | ({"note": data.note} if data.note else {})


def quick_subset(data: Dataset, counts: Mapping[str, int] | None = None) -> Dataset:
    """Return the first examples of each split; `counts` overrides QUICK for the splits that it names."""
    return data.head({**QUICK, **(counts or {})})


def is_first_process() -> bool:
    """Return whether this is the first process of the run: Lightning starts this program again for each further
    device.
    """
    return all(int(os.environ.get(name, 0)) == 0 for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))


def print_result(title: str, card: Card, result: dict[str, Any]) -> None:
    """Print the metrics in one line, and a line for each metric below its floor."""
    metrics = ", ".join(f"{metric} {value:.4f}" for metric, value in result["metrics"].items())
    console.print(f"{title}: {metrics} (trained in {result['seconds']:.0f} s)")
    if result["preset"] == "full":
        for line in card.below_floor(result["metrics"]):
            console.print(f"  [red]below the floor[/]: {line}")
