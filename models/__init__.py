"""The models that Marina can train and serve: one file each, found by file name."""

from importlib import import_module
from pathlib import Path

from models.card import Card, Recipe, Serving

__all__ = ["Card", "Recipe", "Serving", "find", "names"]

NOT_MODELS = {"__init__", "card"}


def names() -> list[str]:
    """Return the names of all models, sorted."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem not in NOT_MODELS)


def find(name: str) -> Card:
    """Return the card of the model called `name`. Raises LookupError, which lists all names, if there is none.

    >>> find("resnet18").task
    'image_classification'
    """
    if name not in names():
        raise LookupError(f"no model {name!r}; there are: {', '.join(names())}")
    card = import_module(f"models.{name}").CARD
    if card.name != name:
        raise LookupError(f"models/{name}.py holds the card of {card.name!r}")
    assert isinstance(card, Card)
    return card
