"""Numbers of responses that several tasks share."""


def probabilities(response) -> list[float]:
    """Return those of a classifier, in the order of the labels."""
    return [p["probability"] for p in sorted(response["predictions"], key=lambda p: p["label"])]
