"""One file per task, found by file name: requests to it, and a model of it with random weights.

facts(card)              the codec, the network's arguments and the labels of an untrained model
inputs(codec, arguments, count)   that many different inputs of its network, batch first
GOOD, BAD                requests that are valid, and refused with the field that the 400 names
EXPORTED                 one request as a file, with its name and content type, to export the network with
loss(network, batch)     only if the outputs of the network do not depend on all of its weights
SHAPE                    of its network's output for one input, if that is not a number per class, or one number
numbers(response)        the numbers in a response, in an order that does not depend on them
"""

from importlib import import_module
from typing import Any


def find(task: str) -> Any:
    """Return the module tests/tasks/<task>.py."""
    return import_module(f"tests.tasks.{task}")


def example(task: str) -> Any:
    """Return a valid request of the task, to mix into batches."""
    return next(iter(find(task).GOOD.values()))
