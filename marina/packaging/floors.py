"""Floors: the metrics that a model has to reach before it is packed.

The floor of a CARD was measured on the embedded stand-in of the CARD's data set, and holds for nothing else. On other
data nothing is rejected, unless the user requests a floor. A missed floor can be accepted; the packed card records it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from marina.errors import PackagingError
from models.card import Card


def parse(words: Iterable[str]) -> dict[str, float]:
    """Return the floors that a user requests; raises PackagingError for words of another form.

    >>> parse(["accuracy=0.9", "f1=0.8"])
    {'accuracy': 0.9, 'f1': 0.8}
    """
    floors = {}
    for word in words:
        metric, _, bound = word.partition("=")
        try:
            floors[metric] = float(bound)
        except ValueError:
            floors[metric] = math.nan
        if not metric or math.isnan(floors[metric]):
            raise PackagingError(f"FLOOR={word}: a floor is a metric and a number, such as accuracy=0.9")
    return floors


def checked(card: Mapping[str, Any], model: Card, requested: Mapping[str, float], accept: bool) -> dict[str, Any]:
    """Return the members of the packed card about floors: `floor`, and `accepted` if one is missed.

    `card` is card.json of the weights. With the quick preset, only what the user requests is checked. Raises
    PackagingError for an unknown metric, and for a missed floor unless `accept`.
    """
    title, metrics = f"{card['name']} {card['version']}", card["metrics"]
    if unknown := [metric for metric in requested if metric not in metrics]:
        present = ", ".join(metrics) or "none, as it was imported without --data"
        raise PackagingError(f"{title} has no metric {', '.join(unknown)}; it has: {present}")
    floor = {**model.floor_on(card.get("data", {})), **requested}
    checked_floor = floor if card["preset"] == "full" else requested
    misses = replace(model, floor=checked_floor).below_floor(metrics)
    if misses and not accept:
        raise PackagingError(
            f"{title} is below its floor: {'; '.join(misses)}. Train it for longer or on other data, or pack it as it "
            f"is with ACCEPT=1 (--accept): the archive's card.json lists what was accepted."
        )
    return {"floor": floor} | ({"accepted": misses} if misses else {})


def measured(card: Mapping[str, Any], model: Card) -> str:
    """Return a line with the metrics beside the published figure, for data that have no floor of their own."""
    if not card["metrics"]:
        return "imported without --data: no metrics"
    metrics = ", ".join(f"{metric} {value:.4f}" for metric, value in card["metrics"].items())
    return f"{metrics} on {card['data']['name']}" + (f"; published: {model.anchor}" if model.anchor else "")
