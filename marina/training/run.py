"""Training of a model: from its CARD to artifacts/<name>/<version>/."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

import models
from marina import overrides
from marina.errors import MarinaError, NoRecipeError
from marina.overrides import OVERRIDES
from marina.training import artifacts, changes, input_size, run_options
from marina.training.changes import Preset
from marina.training.data import Dataset, DatasetSource, UnknownDataError, find
from marina.training.fingerprint import trained_alike
from marina.training.hardware import Hardware
from marina.training.run_options import CHECKPOINT, RunOptions
from models.card import Card, Recipe

if TYPE_CHECKING:
    from marina.training.task import Task

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
    own: Mapping[str, Any] | None = None,
    pretrained: str | None = None,
    target: str | None = None,
) -> Path:
    """Train the model called `name` and return the folder of its artifacts.

    `data` is the name or path of another data set than the CARD's, `labels` the share of the training labels that may
    be used (below 1: self-training), `position` is printed, such as "3 of 7". `own` overrides members of the CARD
    (marina/overrides.py), `pretrained` is the path of a checkpoint to start from, `target` the column of a table to
    predict. Whatever is not given is as marina/training/run_options.py decides. If nothing that the weights depend on
    has changed, only their card is refreshed; otherwise they are trained again with `replace`, and WeightsExistError is
    raised without. A stopped run resumes from its last checkpoint. Raises LookupError for an unknown model, task or
    data set, ValueError for files that do not follow their format, and NoRecipeError for an imported model.
    """
    found_card = models.find(name)
    if found_card.recipe is None:
        raise NoRecipeError(name)
    folder = artifacts.folder_of(name, version)
    title = f"{name} {version}{f', model {position}' if position else ''}"
    done = artifacts.finished(folder)
    given = run_options.given(data, preset, labels, own or {}, pretrained, target)
    options, line = run_options.settled(found_card, version, done, given)
    if line:
        console.print(f"{title}: {line}", markup=False)
    card = overrides.applied(found_card, options.overrides)
    preset, labels = options.preset or "full", 1.0 if options.labels is None else options.labels
    found = source(card, options, data is None and done is not None)
    if done is not None:
        recipe, digest = changes.recipe_of(card, preset), found.sha256 if found else done["data"]["sha256"]
        mark = changes.mark_of(card, digest, preset, labels)
        if done["fingerprint"] == mark or trained_alike(done, folder, card, recipe, digest, preset, labels):
            facts = {member: value for member, value in done.items() if member != OVERRIDES}
            facts |= card_facts(card, done["data"]) | override_facts(options) | {"fingerprint": mark}
            artifacts.write_json(facts, folder / artifacts.CARD)
            console.print(f"{title}: up to date{particulars(done, card, options)}")
            return folder
        lines = changes.differences(done, folder, card, found, preset, labels)
        if not replace:
            changes.refuse(done, lines)
        console.print(f"{title}: is replaced once the new weights are trained: {'; '.join(lines)}", markup=False)
    if found is None:
        missing = changes.data_of(done) if done else options.data
        raise MarinaError(f"{title}: its data {missing} are no longer there; give their path: DATA=")
    input_size.check(found_card, card)
    settled = dataclasses.replace(options, data=str(found.own_path or found.name), preset=preset, labels=labels)
    return fit(card, found, version, settled, hardware or Hardware(), title)


def source(card: Card, options: RunOptions, remembered: bool) -> DatasetSource | None:
    """Return the data set that was given, or is `remembered` from an earlier run, or is the CARD's own.

    None if the remembered data are no longer where they were: finished weights can be packed without them.
    """
    try:
        return find(options.data or card.data, options.target or "")
    except UnknownDataError:
        if remembered:
            return None
        raise


def fit(card: Card, found: DatasetSource, version: str, options: RunOptions, hardware: Hardware, title: str) -> Path:
    """Train, evaluate, and replace the artifacts of this version; return their folder. `options` lacks nothing."""
    from marina.training import evaluation  # Lightning takes seconds to import, which "up to date" does not need

    preset, labels = options.preset or "full", options.labels or 1.0
    console.print(f"[bold]{title}[/]: {card.task} on {found.name} ({found.kind}), preset {preset}")
    if text := ", ".join(run_options.described(options.overrides, options.checkpoint)):
        console.print(f"  options: {text}", markup=False)
    file = run_options.checkpoint_of(options, title)
    folder, scratch = artifacts.folder_of(card.name, version), artifacts.scratch_of(card.name, version)
    recipe, mark = changes.recipe_of(card, preset), changes.mark_of(card, found.sha256, preset, labels)
    if is_first_process():
        if moved := artifacts.begin(scratch, mark):
            console.print(f"{title}: a stopped run of other data or another recipe is kept in {moved}")
            console.print("  the command of that run resumes it")
        artifacts.write_json(options.as_json, scratch / artifacts.OPTIONS)
    try:
        learned = learn(card, recipe, found, options, file, hardware, scratch, title)
    except SystemExit:  # Lightning's reaction to Ctrl-C
        console.print(f"{title}: stopped; the same command resumes from the last checkpoint")
        raise
    except Exception:
        artifacts.abandon(scratch)
        raise
    if learned.first:
        facts: dict[str, Any] = {"version": version, "preset": preset, "data": data_facts(found, learned.data)}
        facts |= {"recipe": dataclasses.asdict(recipe), "seed": recipe.seed, "seconds": round(learned.seconds, 1)}
        facts |= {"fingerprint": mark} | override_facts(options) | learned.facts
        result = evaluation.evaluate(learned.task, card_facts(card, facts["data"]) | facts, scratch)
        artifacts.finish(scratch, folder)
        print_result(title, card, result)
    return folder


class Learned(NamedTuple):
    """A trained task; `data` is the part that it was trained on, `first` whether this process writes the artifacts."""

    task: "Task"
    data: Dataset
    seconds: float
    first: bool
    facts: dict[str, Any]


def learn(
    card: Card,
    recipe: Recipe,
    found: DatasetSource,
    options: RunOptions,
    file: Path | None,
    hardware: Hardware,
    scratch: Path,
    title: str,
) -> Learned:
    """Read the data and train on them; `file` is the checkpoint that the network starts with."""
    from marina.training import self_training, tasks, trainer
    from marina.training.pretrained import user_checkpoint

    weights = user_checkpoint.read(file) if file else None
    kind, facts = tasks.find(card.task), dict[str, Any]()

    def begin(task: "Task") -> None:
        """Load the checkpoint of the user into a network that is about to be trained."""
        if weights is not None:
            loaded = user_checkpoint.load(task.network, weights)
            facts[CHECKPOINT] = loaded.facts
            console.print(f"  {loaded.line}", markup=False)

    whole = dataclasses.replace(found.load(card.task), memory=hardware.memory)
    if is_first_process():
        console.print(f"  {found.summary(whole)}", markup=False)
    data = whole if options.preset == "full" else quick_subset(whole, kind.QUICK)
    if recipe.epochs and not len(data.train):
        raise MarinaError(f"{title}: {found.short_name} has no training examples, its files are for testing only")
    if options.labels == 1:
        task = kind(card, recipe, data)
        begin(task)
        run, seconds = trainer.fit(task, recipe, hardware, scratch)
    else:
        labels = options.labels or 0.0
        task, run, seconds, more = self_training.fit(card, recipe, data, labels, hardware, scratch, begin)
        facts |= more
    return Learned(task, data, seconds, run.is_global_zero, facts)


def card_facts(card: Card, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of card.json that are copied from the CARD, and may change without training again.

    `data` is the member of card.json: a floor holds for one data set.
    """
    return {
        "name": card.name,
        "task": card.task,
        "input": dict(card.input),
        "serving": dataclasses.asdict(card.serving),
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


def override_facts(options: RunOptions) -> dict[str, Any]:
    """Return the member of card.json about overrides, if there are any."""
    return {OVERRIDES: dict(options.overrides)} if options.overrides else {}


def particulars(done: dict[str, Any], card: Card, options: RunOptions) -> str:
    """Return in brackets how finished weights differ from those of a plain `marina train`; empty if they do not."""
    share = changes.share_of(done)
    words = [f"data {done['data']['name']}"] if done["data"]["name"] != card.data else []
    words += [f"preset {done['preset']}"] if done["preset"] != "full" else []
    words += [f"{share} of the labels"] if share != 1 else []
    words += run_options.described(options.overrides, options.checkpoint)
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
