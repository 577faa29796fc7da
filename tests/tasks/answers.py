"""The numbers in replies that several tasks give."""


def probabilities(reply) -> list[float]:
    """Those of a classifier, in the order of the labels."""
    return [p["probability"] for p in sorted(reply["predictions"], key=lambda p: p["label"])]
