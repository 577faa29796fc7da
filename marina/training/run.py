"""Training of a model: from its CARD to artifacts/<name>/<version>/."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

import models
from marina.errors import MarinaError, NoRecipeError
from marina.training import artifacts, changes
from marina.training.changes import Preset
from marina.training.data import Dataset, DatasetSource, UnknownDataError, find
from marina.training.fingerprint import trained_alike
from marina.training.hardware import Hardware
from models.card import Card

QUICK = {"train": 256, "validation": 64, "test": 64}  # examples, for one epoch
console = Console(soft_wrap=True, highlight=False)


def train(
    name: str,
    version: str = "1.0",
    data: str | None = None,
    preset: Preset | None = None,
    hardware: Hardware | None = None,
    position: str = "",
    labels: float | None = None,
    replace: bool = False,
    target: str | None = None,
) -> Path:
    """Train the model called `name` and return the folder of its artifacts.

    `data` is the name or path of another data set than the CARD's, `labels` the share of the training labels that may
    be used (below 1: self-training), `position` is printed, such as "3 of 7", `target` is the column of a table to
    predict. For a version that exists, whatever is not given is as it was. If nothing that the weights depend on has
    changed, only their card is refreshed; otherwise they are trained again with `replace`, and WeightsExistError is
    raised without. A stopped run resumes from its last checkpoint. Raises LookupError for an unknown model, task or
    data set, ValueError for files that do not follow their format, and NoRecipeError for an imported model.
    """
    card = models.find(name)
    if card.recipe is None:
        raise NoRecipeError(name)
    folder = artifacts.folder_of(name, version)
    title = f"{name} {version}{f', model {position}' if position else ''}"
    done = artifacts.finished(folder)
    preset = preset or (done["preset"] if done else "full")
    labels = labels if labels is not None else changes.share_of(done) if done else 1.0
    found = source(card, data, done, target)
    if done is not None:
        recipe, digest = changes.recipe_of(card, preset), found.sha256 if found else done["data"]["sha256"]
        mark = changes.mark_of(card, digest, preset, labels)
        if done["fingerprint"] == mark or trained_alike(done, folder, card, recipe, digest, preset, labels):
            facts = card_facts(card, done["data"]) | {"fingerprint": mark}
            artifacts.write_json(done | facts, folder / artifacts.CARD)
            console.print(f"{title}: up to date{particulars(done, card)}")
            return folder
        lines = changes.differences(done, folder, card, found, preset, labels)
        if not replace:
            changes.refuse(done, lines)
        console.print(f"{title}: is replaced once the new weights are trained: {'; '.join(lines)}", markup=False)
    if found is None:
        raise MarinaError(
            f"{title}: its data {changes.data_of(done or {})} are no longer there; give their path: DATA="
        )
    return fit(card, found, version, preset, labels, hardware or Hardware(), title)


def source(
    card: Card, data: str | None, done: dict[str, Any] | None, target: str | None = None
) -> DatasetSource | None:
    """Return the data set that is named, or that of the finished weights, or the CARD's own.

    None if the data of finished weights are no longer where they were: the weights remain, and can be packed.
    """
    target = target if target is not None else changes.target_of(done)
    if data or done is None:
        return find(data or card.data, target)
    try:
        return find(changes.data_of(done), target)
    except UnknownDataError:
        return None


def fit(
    card: Card, found: DatasetSource, version: str, preset: Preset, labels: float, hardware: Hardware, title: str
) -> Path:
    """Train, evaluate, and replace the artifacts of this version; return their folder."""
    from marina.training import (  # Lightning takes seconds to import, which "up to date" does not need
        evaluation,
        self_training,
        tasks,
        trainer,
    )

    console.print(f"[bold]{title}[/]: {card.task} on {found.name} ({found.kind}), preset {preset}")
    folder, scratch = artifacts.folder_of(card.name, version), artifacts.scratch_of(card.name, version)
    recipe, mark = changes.recipe_of(card, preset), changes.mark_of(card, found.sha256, preset, labels)
    if is_first_process() and (moved := artifacts.begin(scratch, mark)):
        console.print(f"{title}: a stopped run of other data or another recipe is kept in {moved}; its command resumes")
    kind = tasks.find(card.task)
    whole = found.load(card.task)
    if is_first_process():
        console.print(f"  {found.summary(whole)}", markup=False)
    dataset = whole if preset == "full" else quick_subset(whole, kind.QUICK)
    more = dict[str, Any]()
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
        facts: dict[str, Any] = {"version": version, "preset": preset, "data": data_facts(found, dataset)}
        facts |= {"recipe": asdict(recipe), "seed": recipe.seed, "seconds": round(seconds, 1), "fingerprint": mark}
        result = evaluation.evaluate(task, card_facts(card, facts["data"]) | facts | more, scratch)
        artifacts.finish(scratch, folder)
        print_result(title, card, result)
    return folder


def card_facts(card: Card, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of card.json that are copied from the CARD, and may change without training again.

    `data` is the member of card.json: a floor holds for one data set.
    """
    return {
        "name": card.name,
        "task": card.task,
        "input": dict(card.input),
        "serving": asdict(card.serving),
        "floor": dict(card.floor_on(data)),
        "anchor": card.anchor,
        "source": card.source,
    }


def data_facts(found: DatasetSource, data: Dataset) -> dict[str, Any]:
    """Return the identity of the data for card.json.

    `path` is a member for a user's own; `target` (of a table), `unused` (files, by their kind) and `note` are members
    if there are any.
    """
    facts = {"name": found.short_name, "sha256": found.sha256, "kind": found.kind, "sizes": data.sizes}
    facts |= {"splits": dict(data.splits)} | ({"unused": dict(data.unused)} if data.unused else {})
    facts |= {"path": str(found.own_path)} if found.own_path else {}
    facts |= {"target": found.target} if found.target else {}
    return facts | ({"note": data.note} if data.note else {})


def particulars(done: dict[str, Any], card: Card) -> str:
    """Return in brackets how finished weights differ from those of a plain `marina train`; empty if they do not."""
    share = changes.share_of(done)
    words = [f"data {done['data']['name']}"] if done["data"]["name"] != card.data else []
    words += [f"preset {done['preset']}"] if done["preset"] != "full" else []
    words += [f"{share} of the labels"] if share != 1 else []
    return f" ({', '.join(words)})" if words else ""


def quick_subset(data: Dataset, counts: Mapping[str, int] | None = None) -> Dataset:
    """Return the first examples of each split; `counts` overrides QUICK for the splits that it names."""
    return data.head({**QUICK, **(counts or {})})


def is_first_process() -> bool:
    """Return whether this is the first process of the run: Lightning starts this program again for each further
    device.
    """
    return all(int(os.environ.get(name, 0)) == 0 for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))


def print_result(title: str, card: Card, result: dict[str, Any]) -> None:
    """Print the metrics in one line, and a line for each metric below its floor; on other data, the published figure
    instead.
    """
    metrics = ", ".join(f"{metric} {value:.4f}" for metric, value in result["metrics"].items())
    console.print(f"{title}: {metrics} (trained in {result['seconds']:.0f} s)")
    if not card.floor_on(result["data"]):
        console.print(f"  no floor on {result['data']['name']}; published: {card.anchor}", markup=False)
    elif result["preset"] == "full":
        for line in card.below_floor(result["metrics"]):
            console.print(f"  [red]below the floor[/]: {line}")
