"""Sample requests, and models with random weights, of each task; one module per task, named like the task.

Each module defines:

facts(card)                       codec, network arguments and labels of a model with random weights
inputs(codec, arguments, count)   `count` different inputs of the network, (count, ...)
GOOD                              valid requests by name of the case
BAD                               invalid requests by name of the case, each with the field that the 400 response names
EXPORTED                          file name, content type and body of the request to export the network with
numbers(response)                 the numbers in a response, to compare responses; their order is independent of them
SHAPE                             shape of the network's output for one input; only if not (classes,) or a single number
loss(network, batch)              loss that depends on all weights; only if the network's output does not

The modules `images`, `texts` and `class_probabilities` are shared by several tasks.
"""

from importlib import import_module
from typing import Any


def find(task: str) -> Any:
    """Return the module tests/tasks/<task>.py."""
    return import_module(f"tests.tasks.{task}")


def example(task: str) -> Any:
    """Return a valid request of the task, to mix into batches."""
    return next(iter(find(task).GOOD.values()))
