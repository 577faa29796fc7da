"""Changes between finished weights and those that training would make today.

Weights are immutable by version: training replaces them only on request, and packing never trains again. Both need to
report what has changed: the data, the preset, the share of the labels, the recipe, the arguments of the codec, or the
code of the network.
"""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

from marina import overrides
from marina.errors import NoRecipeError, PackagingError, WeightsExistError
from marina.training.data import DatasetSource, find
from marina.training.fingerprint import FORMULA, LATER, as_json, fingerprint, recorded_recipe, same_share, weights_load
from models.card import Card, Recipe

Preset = Literal["full", "quick"]
WEIGHTS = "model.safetensors"


def recipe_of(card: Card, preset: str) -> Recipe:
    """Return the recipe of a preset: quick is one epoch, without early stopping. Raises NoRecipeError."""
    if card.recipe is None:
        raise NoRecipeError(card.name)
    return card.recipe if preset == "full" else replace(card.recipe, epochs=min(1, card.recipe.epochs), patience=None)


def mark_of(card: Card, data_sha256: str, preset: str, labels: float) -> str:
    """Return the fingerprint of weights that training would make today."""
    return fingerprint(card, recipe_of(card, preset), data_sha256, preset_and_share(preset, labels))


def preset_and_share(preset: str, labels: float) -> str:
    """Return the preset as fingerprints have it."""
    return preset if labels == 1 else f"{preset}, {labels} of the labels"


def data_of(done: dict[str, Any]) -> str:
    """Return what `find` takes for the data of finished weights: the user's path, or the name of a data set."""
    return str(done["data"].get("path") or done["data"]["name"])


def target_of(done: dict[str, Any] | None) -> str:
    """Return the column of a table that finished weights predict, if the user chose one; otherwise an empty string."""
    return str(done["data"].get("target", "")) if done else ""


def share_of(done: dict[str, Any]) -> float:
    """Return the share of the labels that finished weights were trained with; older cards have numbers only."""
    if (trained := done.get("self_training")) is None:
        return 1.0
    return float(trained.get("share") or round(trained["labels"] / (trained["labels"] + trained["unlabelled"]), 3))


def differences(
    done: dict[str, Any], folder: Path, card: Card, found: DatasetSource | None, preset: str, labels: float
) -> list[str]:
    """Return a line for everything in which the weights in `folder` differ from what training would make today.

    `done` is their card.json. Without `found`, the data are not compared. A line is such as "data mine -> mnist_m" or
    "recipe.epochs 5 -> 9".
    """
    lines = data_difference(done, found) if found else []
    if done["preset"] != preset:
        lines.append(f"preset {done['preset']} -> {preset}")
    if not same_share(done.get("self_training"), labels):
        lines.append(f"labels {share_of(done)} -> {labels}")
    return lines + of_model(done, folder, card)


def data_difference(done: dict[str, Any], found: DatasetSource) -> list[str]:
    """Return a line if the weights were trained on other data than `found`."""
    if done["data"]["sha256"] == found.sha256:
        return []
    if done["data"]["name"] == found.short_name and target_of(done) != found.target:
        return [f"target {target_of(done) or 'by default'} -> {found.target or 'by default'}"]
    if done["data"]["name"] == found.short_name:
        return [f"data {found.short_name}, whose files have changed"]
    return [f"data {done['data']['name']} -> {found.short_name}"]


def of_interface(done: dict[str, Any], card: Card) -> list[str]:
    """Return a line if the CARD's task or the arguments of its codec have changed since these weights were made."""
    return [
        f"{member} {done[member]} -> {value}"
        for member, value in (("task", card.task), ("input", as_json(dict(card.input))))
        if done[member] != value
    ]


def of_model(done: dict[str, Any], folder: Path, card: Card) -> list[str]:
    """Return a line for everything in which the model's own file has changed since these weights were made."""
    lines = of_interface(done, card)
    recipe, recorded = as_json(vars(recipe_of(card, done["preset"]))), done["recipe"]
    older = {member.name: as_json(member.default) for member in fields(Recipe) if member.name in LATER} | recorded
    lines += [
        f"recipe.{name} {older.get(name)} -> {recipe.get(name)}"
        for name in [*recipe, *(recorded.keys() - recipe.keys())]
        if older.get(name) != recipe.get(name)
    ]
    return lines if _same_code(done, folder, card) else [*lines, "network code"]


def packable(done: dict[str, Any], folder: Path, card: Card, data: str | None, target: str | None = None) -> list[str]:
    """Return what has changed in the model's file since the weights in `folder` were made; they are packed as they are.

    Raises WeightsExistError if they were trained on other data than `data` or for another `target`, and PackagingError
    if they no longer fit the network.
    """
    if data or target:
        found = find(data or data_of(done), target_of(done) if target is None else target)
        if lines := data_difference(done, found):
            refuse(done, lines)
    card = overrides.applied(card, done.get(overrides.OVERRIDES, {}))
    lines = of_model(done, folder, card)
    if lines and (done["task"] != card.task or not weights_load(folder / WEIGHTS, card, done["network"])):
        raise PackagingError(
            f"{done['name']} {done['version']}: the weights no longer fit the network ({'; '.join(lines)}). "
            f"REPLACE=1 (--replace) trains again, VERSION={next_version(done['version'])} trains beside them; or "
            f"restore models/{done['name']}.py as it was."
        )
    return lines


def check_imported(done: dict[str, Any], folder: Path, card: Card, data: str | None) -> None:
    """Raise PackagingError if imported weights no longer fit the CARD or the network, or if `data` are given."""
    title = f"{done['name']} {done['version']}"
    if data:
        raise PackagingError(f"{title} was imported, not trained on {data}: `marina import --data` measures it there")
    lines = of_interface(done, card)
    if not weights_load(folder / WEIGHTS, card, done["network"]):
        lines.append("network code")
    if lines:
        raise PackagingError(
            f"{title}: the weights no longer fit models/{done['name']}.py ({'; '.join(lines)}): restore it as it was, "
            f"or import the weights again"
        )


def refuse(done: dict[str, Any], lines: list[str]) -> None:
    """Raise WeightsExistError that lists the differences, and the two ways to train all the same."""
    version = done["version"]
    raise WeightsExistError(
        f"{done['name']} {version} exists, and was made differently: {'; '.join(lines)}. "
        f"Trained weights are replaced only on request: VERSION={next_version(version)} trains beside them, "
        f"REPLACE=1 (--replace) trains again and replaces them."
    )


def next_version(version: str) -> str:
    """Return a version with its last number raised by one.

    >>> next_version("1.0"), next_version("2.9"), next_version("mine")
    ('1.1', '2.10', 'mine.1')
    """
    head, dot, last = version.rpartition(".")
    return f"{head}{dot}{int(last) + 1}" if last.isdecimal() else f"{version}.1"


def _same_code(done: dict[str, Any], folder: Path, card: Card) -> bool:
    """Check whether the recorded fingerprint is the one of everything that the card records and of today's code.

    The first formula of fingerprints depended on the version of Python: for those, weights that load count as the same.
    A recipe that today's Recipe can't hold can't be hashed, and is reported by its own line.
    """
    if not done["fingerprint"].startswith(FORMULA):
        return weights_load(folder / WEIGHTS, card, done["network"])
    recipe = recorded_recipe(done["recipe"])
    if recipe is None:
        return True
    then = replace(card, input=done["input"], task=done["task"])
    mark = fingerprint(then, recipe, done["data"]["sha256"], preset_and_share(done["preset"], share_of(done)))
    return mark == str(done["fingerprint"])
