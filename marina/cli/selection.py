"""The models that a command names, in the order of their training: those without first, then longest first.

CARDs are read as source text, not imported: importing a model imports torch, which takes seconds, and `make archive`
with nothing to do must end in less than one.
"""

import ast
import json
from collections.abc import Container, Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import models
from marina.errors import MarinaError, NoRecipeError
from marina.settings import ROOT

STARTER, ALL = "starter", "all"
WARM_START_VERSION = "1.0"  # of the models that another training begins with


class CardFacts(NamedTuple):
    """The members of a CARD that are literals and decide what to train and when; `imported` has no recipe."""

    starter: bool
    warm_start: tuple[str, ...]
    training_seconds: float
    imported: bool


@cache
def facts(name: str) -> CardFacts:
    """Read the CARD of the model called `name`; raises MarinaError for an unknown name.

    >>> facts("lenet").starter
    True
    """
    file = ROOT / "models" / f"{name}.py"
    if name not in models.names():
        raise MarinaError(f"there is no model {name}; there are: {', '.join(models.names())}")
    literals: dict[str, Any] = {}
    imported = True
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Card":
            literals |= {
                keyword.arg: ast.literal_eval(keyword.value)
                for keyword in node.keywords
                if keyword.arg in CardFacts._fields
            }
            imported = all(keyword.arg != "recipe" for keyword in node.keywords)
    return CardFacts(
        literals.get("starter", False), literals.get("warm_start", ()), literals.get("training_seconds", 0.0), imported
    )


def select(names: Iterable[str], with_weights: Container[str] = ()) -> list[str]:
    """Return the names of models for `names`, each once, in their order: `starter` and `all` stand for many.

    Imported models can't be trained: `all` leaves them out, except those in `with_weights`. Raises MarinaError for an
    unknown name.
    """
    chosen: list[str] = []
    for name in names:
        if name == STARTER:
            chosen += [each for each in models.names() if facts(each).starter]
        elif name == ALL:
            chosen += [each for each in models.names() if each in with_weights or not facts(each).imported]
        else:
            facts(name)
            chosen.append(name)
    return list(dict.fromkeys(chosen))


def check_trainable(names: Iterable[str]) -> None:
    """Raise NoRecipeError if one of the models was imported."""
    for name in names:
        if facts(name).imported:
            raise NoRecipeError(name)


def longest_first(names: Iterable[str], artifacts: Path) -> list[str]:
    """Sort by training time, so that no core idles at the end while another is still at a long one.

    Models with published weights, which are not trained, come first: they can be served after seconds.
    """
    return sorted(names, key=lambda name: (facts(name).training_seconds > 0, -training_seconds(name, artifacts)))


def training_seconds(name: str, artifacts: Path) -> float:
    """Return what the last training of any version took here; the CARD's own figure where there was none."""
    cards = sorted((artifacts / name).glob("*/card.json"), key=lambda file: file.stat().st_mtime)
    if cards:
        card = json.loads(cards[-1].read_text(encoding="utf-8"))
        if card.get("preset") == "full":
            return float(card.get("seconds", 0.0))
    return facts(name).training_seconds


def missing_warm_starts(names: Iterable[str], artifacts: Path) -> list[str]:
    """Return the models that the training of `names` begins with and that are neither trained nor among `names`."""
    names = list(names)
    needed = dict.fromkeys(base for name in names for base in facts(name).warm_start)
    return [
        base
        for base in needed
        if base not in names and not (artifacts / base / WARM_START_VERSION / "card.json").is_file()
    ]
