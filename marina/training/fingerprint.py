"""Fingerprints of everything that weights depend on: `marina train` compares them.

The first formula hashed docstrings too, and Python's own rendering of the source, which differs between versions of
Python. Cards written by it are recognised by the missing prefix, and accepted by what they record (`trained_alike`).
"""

import ast
import json
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import safe_open

from models.card import Card, Recipe

ROOT = Path(__file__).resolve().parents[2]
FORMULA = "2:"  # prefix of a fingerprint; those of the first formula have none
NOT_NETWORK = {"models", "models.card"}
# Members of Recipe that are newer than some artifacts.
LATER = {"precision", "pretrained", "frozen_epochs", "backbone_lr", "kept_layers", "teacher"}
LATER |= {"gamma", "schedule_epochs", "clip_norm", "checkpoint"}
WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def fingerprint(card: Card, recipe: Recipe, data_sha256: str, preset: str) -> str:
    """Return the SHA-256 over recipe, data, preset, the codec's arguments and the network's code with all it imports.

    Comments, docstrings, layout and the CARD's other members (serving, floor, ...) are not part of it. The same on
    every version of Python.
    """
    facts = {
        "recipe": settings(recipe),
        "data": data_sha256,
        "preset": preset,
        "input": dict(card.input),
        "task": card.task,
        "source": network_source(card.network.__module__),
    }
    return FORMULA + sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def trained_alike(
    done: dict[str, Any], folder: Path, card: Card, recipe: Recipe, data_sha256: str, preset: str, labels: float
) -> bool:
    """Return whether artifacts whose fingerprint is of the first formula are what training would make today.

    So they are if the recipe, data, preset, input and task that card.json (`done`) records are the same, and the
    weights in `folder` have the names and shapes of the network. `labels` is the share of the training labels.
    """
    return (
        not done["fingerprint"].startswith(FORMULA)
        and _same_recipe(done["recipe"], recipe)
        and done["data"]["sha256"] == data_sha256
        and done["preset"] == preset
        and done["input"] == as_json(dict(card.input))
        and done["task"] == card.task
        and same_share(done.get("self_training"), labels)
        and weights_load(folder / "model.safetensors", card, done["network"])
    )


def settings(recipe: Recipe) -> dict[str, Any]:
    """Return the members of a recipe; a member of LATER only if it is not the default, so that artifacts that are older
    than the member stay up to date.
    """
    return {
        member.name: value
        for member in fields(recipe)
        if (value := getattr(recipe, member.name)) != member.default or member.name not in LATER
    }


def network_source(module: str) -> dict[str, Any]:
    """Return the syntax tree of a module and of what it imports under models/, by module name, without the CARDs."""
    sources: dict[str, Any] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = ROOT.joinpath(*name.split(".")).with_suffix(".py")
        if name in sources or name in NOT_NETWORK or not file.is_file():
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        tree.body = [node for node in tree.body if not _is_card(node)]
        sources[name] = syntax(tree)
        waiting += _imports(tree)
    return sources


def syntax(node: Any) -> Any:
    """Return a syntax tree as JSON: lists of a node's kind and its members, without docstrings, empty members and
    positions.

    >>> syntax(ast.parse("x = 1").body[0].value)
    ['Constant', ['value', '1']]
    """
    if isinstance(node, list):
        return [syntax(each) for each in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    members = dict(ast.iter_fields(node))
    if isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
        members["body"] = node.body[1:]
    # Later versions of Python add members, which are empty for code that earlier ones can read.
    return [type(node).__name__, *([name, syntax(value)] for name, value in members.items() if value not in (None, []))]


def _imports(tree: ast.Module) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == "models"]


def _is_card(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "CARD" for to in node.targets)


def as_json(value: Any) -> Any:
    """Return the value as it comes back from card.json, where tuples are lists."""
    return json.loads(json.dumps(value))


def _same_recipe(recorded: dict[str, Any], recipe: Recipe) -> bool:
    """Compare with a recorded recipe, which may lack members that came later."""
    members = {member.name: member.default for member in fields(recipe)}
    return recorded.keys() <= members.keys() and all(
        recorded.get(name, default) == as_json(getattr(recipe, name)) for name, default in members.items()
    )


def recorded_recipe(recorded: dict[str, Any]) -> Recipe | None:
    """Return the recipe of card.json; None if it has members that recipes no longer have, or lacks a required one."""
    members = {member.name for member in fields(Recipe)}
    return (
        Recipe(**recorded) if recorded.keys() <= members and {"epochs", "batch_size", "lr"} <= recorded.keys() else None
    )


def same_share(recorded: dict[str, Any] | None, labels: float) -> bool:
    """Compare with the numbers of examples with and without labels that a run of self-training recorded."""
    if recorded is None or labels == 1:
        return recorded is None and labels == 1
    examples = recorded["labels"] + recorded["unlabelled"]
    return bool(abs(recorded["labels"] - labels * examples) <= 1)


def weights_load(file: Path, card: Card, arguments: dict[str, Any]) -> bool:
    """Return whether the weights have the names and shapes of the network's own."""
    try:
        expected = {name: list(value.shape) for name, value in card.network(**arguments).state_dict().items()}
        with safe_open(file, "pt") as weights:
            found = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118
    except (OSError, TypeError):  # no such file; a network that takes other arguments
        return False
    return expected == found
