"""A task's handler, and the model's example as its network's input."""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from handlers.row import Row


def handler_class(task: str) -> Any:
    """The one class that handlers/<task>.py defines."""
    module = import_module(f"handlers.{task}")
    (handler,) = (thing for thing in vars(module).values() if getattr(thing, "__module__", "") == module.__name__)
    return handler


def example_batch(handler: Any) -> Tensor:
    """The model's example request as the network's input: a batch of two."""
    example = handler.card["example"]
    row = Row({"body": (handler.folder / example["file"]).read_bytes()}, {"content-type": example["content_type"]}, "")
    item = handler.decode(row)
    if hasattr(handler, "first_input"):  # of those that go on from their own output
        batch: Any = [handler.first_input(item)] * 2
    else:
        batch = handler.collate([item, item])
    if isinstance(batch, list):  # several rows may be asked for in one request
        batch = torch.cat(batch)
    assert isinstance(batch, Tensor)
    return batch
