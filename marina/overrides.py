"""Overrides of a CARD: members of its recipe, input and serving options that a user gives instead of editing the file.

Training records them in card.json (`overrides`), so that every later command builds the same model. The types are those
of the dataclasses in models/card.py; members of `input` have the type of the CARD's own value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from types import GenericAlias
from typing import Any, get_type_hints

from marina import typed_text
from marina.errors import MarinaError
from marina.typed_text import NONE
from models.card import Card, Recipe, Serving

OVERRIDES = "overrides"  # the member of card.json
# The network's channels are fixed, and a checkpoint is given as a file (--pretrained).
FIXED = {"input.channels", "recipe.checkpoint"}
RESET = ""  # the value of a member that the CARD decides again
# Whole numbers are at least 1, but for these.
MAY_BE_ZERO = {"recipe.epochs", "recipe.seed", "recipe.patience", "recipe.frozen_epochs", "recipe.kept_layers"}


def parse(card: Card, words: Iterable[str]) -> dict[str, Any]:
    """Return the values of `name=value` words by their full names; RESET for an empty one: the CARD's own holds again.

    A name without its section, such as `lr`, stands for the one member of that name. Raises MarinaError for a name that
    the CARD does not have, and for a value of another type.

    >>> import models
    >>> parse(models.find("lenet"), ["lr=1e-3", "recipe.augment=flip,rotate", "serving.workers=cores", "epochs="])
    {'recipe.lr': 0.001, 'recipe.augment': ('flip', 'rotate'), 'serving.workers': 'cores', 'recipe.epochs': ''}
    """
    types = {name: hint for name, hint in types_of(card).items() if name not in FIXED}
    found: dict[str, Any] = {}
    for word in words:
        given, equals, text = word.partition("=")
        if not equals:
            raise MarinaError(f"{word}: an option is a name and a value, such as recipe.lr=1e-3")
        name = _full_name(card, given, types)
        try:
            found[name] = typed_text.value_of(text, types[name], int(name not in MAY_BE_ZERO)) if text else RESET
        except ValueError as exc:
            raise MarinaError(f"{name}={text}: {exc}") from exc
    if (resize := card.input.get("resize")) and "input.size" in found:
        size = found["input.size"]  # the scaled image stays as much larger than its crop as it was
        found.setdefault("input.resize", size and round(resize * size / card.input["size"]))
    return found


def merged(earlier: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return earlier overrides with those that are given now; RESET removes one.

    >>> merged({"recipe.lr": 0.1, "recipe.epochs": 3}, {"recipe.lr": RESET, "input.size": 96})
    {'recipe.epochs': 3, 'input.size': 96}
    """
    return {name: value for name, value in {**earlier, **given}.items() if value != RESET}


def applied(card: Card, overrides: Mapping[str, Any]) -> Card:
    """Return the CARD with these members. Raises MarinaError for one that it no longer has, and for serving options
    that exclude each other.
    """
    types = types_of(card)
    sections: dict[str, dict[str, Any]] = {"recipe": {}, "input": {}, "serving": {}}
    for name, value in overrides.items():
        if name not in types:
            raise MarinaError(f"{name}={value} was given in training, and models/{card.name}.py has no {name} any more")
        section, _, member = name.partition(".")
        sections[section][member] = tuple(value) if isinstance(value, list) else value
    try:
        serving = replace(card.serving, **sections["serving"])
    except ValueError as exc:
        raise MarinaError(f"{card.name}: {exc}") from exc
    return replace(
        card,
        recipe=card.recipe and replace(card.recipe, **sections["recipe"]),
        input={**card.input, **sections["input"]},
        serving=serving,
    )


def types_of(card: Card) -> dict[str, Any]:
    """Return the type of each member by its full name, such as recipe.lr."""
    types = {f"recipe.{name}": hint for name, hint in get_type_hints(Recipe).items() if card.recipe}
    types |= {f"input.{name}": _type_of(value) for name, value in card.input.items()}
    return types | {f"serving.{name}": hint for name, hint in get_type_hints(Serving).items()}


def text_of(overrides: Mapping[str, Any]) -> str:
    """Return overrides as a user types them.

    >>> text_of({"recipe.lr": 0.001, "recipe.augment": ("flip", "rotate")})
    'recipe.lr=0.001 recipe.augment=flip,rotate'
    """
    return " ".join(f"{name}={_text(value)}" for name, value in overrides.items())


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or NONE
    return NONE if value is None else str(value)


def _type_of(value: Any) -> Any:
    """Return the type of a CARD's own value; of a list as many numbers as it has."""
    if isinstance(value, tuple | list):
        return GenericAlias(tuple, (float,) * len(value))
    return type(value)


def _full_name(card: Card, given: str, types: Mapping[str, Any]) -> str:
    if given in types:
        return given
    same = [name for name in types if name.partition(".")[2] == given]
    if len(same) > 1:
        raise MarinaError(f"{given}: {' or '.join(same)}?")
    if same:
        return same[0]
    if given in FIXED:
        how = "--pretrained takes a file" if given == "recipe.checkpoint" else "the network's layers have it"
        raise MarinaError(f"{given} can't be set: {how}")
    short = {name.partition(".")[2]: name for name in types}
    near = get_close_matches(given, types) or [short[name] for name in get_close_matches(given, short)]
    hint = f"nearest: {', '.join(near)}" if near else "they begin with recipe., input. or serving. (models/card.py)"
    raise MarinaError(f"{card.name} has no option {given}; {hint}")
