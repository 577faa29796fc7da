"""One file a task, found by file name: what a user sends to it, and a model of it with random weights.

facts(card)              the codec, the network's arguments and the labels of an untrained model
inputs(codec, arguments, count)   that many different inputs of its network, batch first
GOOD, BAD                requests that are answered, and refused with the field that the 400 names
EXPORTED                 one request as a file, with its name and content type, to export the network with
loss(network, batch)     only where what comes out of the network does not depend on all of its weights
SHAPE                    of its network's output for one input, where that is not a number a class, or one number
numbers(reply)           the numbers in a reply, in an order that does not depend on them
"""

from importlib import import_module
from typing import Any


def find(task: str) -> Any:
    """The module tests/tasks/<task>.py."""
    return import_module(f"tests.tasks.{task}")


def example(task: str) -> Any:
    """One request of the task that goes well, to mix into batches."""
    return next(iter(find(task).GOOD.values()))
