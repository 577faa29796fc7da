"""Probabilities in the responses of classifiers, which several tasks share as their `numbers`."""


def probabilities(response) -> list[float]:
    """Return the probability of each class of a response, in the order of the labels."""
    return [p["probability"] for p in sorted(response["predictions"], key=lambda p: p["label"])]
