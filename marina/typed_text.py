"""Values of typed members from text: what a user writes behind `name=` becomes what a dataclass expects."""

from collections.abc import Sequence
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

NONE = "none"  # the text of None, and of an empty list
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
DESCRIPTIONS = {int: "a whole number", float: "a number", bool: "true or false", NoneType: NONE, str: "a text"}


def value_of(text: str, hint: Any, lowest: int = 1) -> Any:
    """Return the text as a value of the type `hint`; whole numbers are at least `lowest`, others not negative.

    Raises ValueError, whose message is what the member takes.

    >>> value_of("1e-3", float), value_of("none", int | None), value_of("flip, gray", tuple[str, ...])
    (0.001, None, ('flip', 'gray'))
    """
    try:
        value = converted(text, hint)
    except ValueError:
        raise ValueError(f"it takes {described(hint)}") from None
    if not isinstance(value, bool) and isinstance(value, int | float):
        bound = lowest if isinstance(value, int) else 0
        if value < bound:
            raise ValueError(f"it takes {described(hint)}, at least {bound}")
    return value


def converted(text: str, hint: Any) -> Any:
    """Return the text as a value of the type `hint`; raises ValueError if it is none."""
    kind = get_origin(hint)
    if kind in (Union, UnionType):
        return _one_of(text, get_args(hint))
    if kind is tuple:
        return _listed(text, get_args(hint))
    if kind is Literal and text in get_args(hint):
        return text
    if hint is bool and text.lower() in BOOLEANS:
        return BOOLEANS[text.lower()]
    if hint is NoneType and text == NONE:
        return None
    if hint is str or hint is int or (hint is float and isfinite(float(text))):
        return hint(text)
    raise ValueError(text)


def described(hint: Any) -> str:
    """Return in words which values a type has.

    >>> described(int | None), described(Literal["sgd", "adam"]), described(tuple[str, ...])
    ('a whole number or none', 'one of sgd, adam', 'words with commas between, or none')
    """
    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return " or ".join(described(one) for one in inner)
    if kind is Literal:
        return f"one of {', '.join(inner)}" if len(inner) > 1 else str(inner[0])
    if kind is tuple and inner[-1] is not Ellipsis:
        return f"numbers with commas between, {len(inner)} of them"
    return "words with commas between, or none" if kind is tuple else DESCRIPTIONS[hint]


def _one_of(text: str, hints: Sequence[Any]) -> Any:
    """Return the value of the first type that has one; None comes first, because "none" is also a text."""
    for hint in sorted(hints, key=lambda hint: hint is not NoneType):
        try:
            return converted(text, hint)
        except ValueError:
            continue
    raise ValueError(text)


def _listed(text: str, hints: Sequence[Any]) -> tuple[Any, ...]:
    parts = [] if text == NONE else text.split(",")
    if hints[-1] is not Ellipsis and len(parts) != len(hints):
        raise ValueError(text)
    return tuple(converted(part.strip(), hints[0]) for part in parts)
