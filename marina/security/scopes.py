"""Scopes of access keys: the operations that a key allows, and the roles that stand for several of them."""

import re
from collections.abc import Iterable

from marina.errors import AccessKeyError

# Scopes that may be limited to one model or experiment: predict:resnet18
INFERENCE = ("predict", "explain")
FEEDBACK, EXPERIMENTS, METRICS, MANAGE = "feedback", "experiments", "metrics", "manage"
SCOPES = (*INFERENCE, FEEDBACK, EXPERIMENTS, METRICS, MANAGE)

READER = (*INFERENCE, FEEDBACK)
OPERATOR = (*READER, EXPERIMENTS, METRICS)
ROLES = {"reader": READER, "operator": OPERATOR, "admin": (*OPERATOR, MANAGE)}

MODEL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def parse(words: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes of comma-separated words, sorted, each once; raises AccessKeyError for an unknown one.

    >>> parse(["predict:resnet18,feedback"])
    ('feedback', 'predict:resnet18')
    """
    found = {scope.strip() for word in words for scope in word.split(",") if scope.strip()}
    for scope in found:
        kind, colon, model = scope.partition(":")
        if kind not in SCOPES:
            raise AccessKeyError(
                f"{scope} is no scope: give some of {', '.join(SCOPES)}, or predict:MODEL, explain:MODEL"
            )
        if colon and (kind not in INFERENCE or not MODEL_NAME.fullmatch(model)):
            raise AccessKeyError(
                f"{scope}: only {' and '.join(INFERENCE)} take a model's name, such as predict:resnet18"
            )
    return tuple(sorted(found))
