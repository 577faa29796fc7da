"""What the weights depend on: a change of any of it makes `make train` train again."""

import ast
import json
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from models.card import Card, Recipe

ROOT = Path(__file__).parent.parent
NOT_NETWORK = {"models", "models.card"}
# Members of Recipe that came after others had trained.
LATER = {"precision", "pretrained", "frozen_epochs", "backbone_lr", "kept_layers", "teacher"}


def fingerprint(card: Card, recipe: Recipe, data_sha256: str, preset: str) -> str:
    """The sha256 over recipe, data, preset, the codec's arguments and the network's source with all it imports.

    Comments, layout and the CARD's other members (serving, floor, ...) are not part of it.
    """
    facts = {
        "recipe": settings(recipe),
        "data": data_sha256,
        "preset": preset,
        "input": dict(card.input),
        "task": card.task,
        "source": network_source(card.network.__module__),
    }
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def settings(recipe: Recipe) -> dict[str, Any]:
    """What the recipe says; a member that came later only if it changes something, so that nothing trains again."""
    return {
        member.name: value
        for member in fields(recipe)
        if (value := getattr(recipe, member.name)) != member.default or member.name not in LATER
    }


def network_source(module: str) -> dict[str, str]:
    """The code of a module and of what it imports under models/, by module name, without the CARDs."""
    sources: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = ROOT.joinpath(*name.split(".")).with_suffix(".py")
        if name in sources or name in NOT_NETWORK or not file.is_file():
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        tree.body = [node for node in tree.body if not _is_card(node)]
        sources[name] = ast.unparse(tree)
        waiting += _imports(tree)
    return sources


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
