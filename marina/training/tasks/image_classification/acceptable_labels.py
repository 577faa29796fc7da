"""Metrics of images for which several labels are right, as with ImageNet's ReaL labels."""

from collections.abc import Mapping, Sequence
from typing import Any

TOP = 5  # predictions
LISTED = 100  # images of which a card holds the predictions


def are_sets(truths: Sequence[Any]) -> bool:
    """Return whether the truths are tuples of acceptable labels, instead of one label each."""
    return bool(truths) and isinstance(truths[0], tuple)


def score(truths: Sequence[tuple[str, ...]], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the share of images whose best prediction is acceptable, and of those with one among the best five.

    >>> score([("cat", "tabby")], [{"predictions": [{"label": "dog"}, {"label": "tabby"}]}])
    {'accuracy': 0.0, 'top5': 1.0}
    """

    def share(top: int) -> float:
        return sum(bool(set(named[:top]) & set(truth)) for truth, named in zip(truths, best, strict=True)) / len(truths)

    best = [[row["label"] for row in response["predictions"]] for response in responses]
    return {"accuracy": share(1), "top5": share(TOP)}


def report(truths: Sequence[tuple[str, ...]], responses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the member of card.json that lists, for each of the first images, what is right and what was predicted."""
    pairs = list(zip(truths, responses, strict=True))[:LISTED]
    return {"images": [{"acceptable": truth, "predicted": response["predictions"][0]} for truth, response in pairs]}
