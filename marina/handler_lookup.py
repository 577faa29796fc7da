"""Lookup of handlers: the class of a task, and the example of a loaded model as its network's input."""

import inspect
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def handler_class(task: str) -> Any:
    """Return the one class that handlers/<task>.py defines.

    >>> handler_class("image_classification").__name__
    'ImageClassification'
    """
    return only_class(import_module(f"handlers.{task}"))


def example_batch(handler: Any) -> "Tensor":
    """Return the example request of a loaded handler's card as the network's input: a batch of two, (2, ...)."""
    example = handler.card["example"]
    return batch_of(handler, [((handler.folder / example["file"]).read_bytes(), example["content_type"])] * 2)


def batch_of(handler: Any, requests: Sequence[tuple[bytes, str]]) -> "Tensor":
    """Return requests, each a body and its content type, as one batch of a loaded handler's network, (N, ...)."""
    import torch

    from handlers.request import Request

    items = [handler.decode(Request({"body": body}, {"content-type": kind}, "")) for body, kind in requests]
    if hasattr(handler, "first_input"):  # of handlers whose network continues its own output
        batch: Any = [handler.first_input(item) for item in items]
    else:
        batch = handler.collate(items)
    if isinstance(batch, list):  # one request may hold several rows
        batch = torch.cat(batch)
    assert isinstance(batch, torch.Tensor)
    return batch


def only_class(module: ModuleType) -> Any:
    """Return the class that a handler's module defines; TorchServe, too, accepts one only."""
    (handler,) = (kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__)
    return handler
