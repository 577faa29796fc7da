"""Fixtures of the tests of the base class: artifacts and a started handler."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from ts.context import Context

from handlers import metrics
from tests.handlers.scaling import SERVING, Scale
from tests.support.metrics import Cache


@pytest.fixture
def folder(tmp_path, monkeypatch, threads):
    """Artifacts whose weights differ from those of a new network."""
    monkeypatch.setitem(sys.modules, "models.scale", SimpleNamespace(CARD=SimpleNamespace(network=Scale)))
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(metrics, "EVERY_SECONDS", 3600)
    save_file({"factor": torch.tensor(3.0)}, tmp_path / "model.safetensors")
    card = {"name": "scale", "version": "2.1", "task": "scaling", "network": {"factor": 1.0}, "serving": SERVING}
    card["example"] = {"file": "example.json", "content_type": "application/json"}
    (tmp_path / "card.json").write_text(json.dumps(card | {"title": "倍"}), encoding="utf-8")
    return tmp_path


@pytest.fixture
def threads():
    """The numbers of threads that were set in torch."""
    return []


@pytest.fixture
def served(folder):
    """Function `served(kind)`: a handler of that class and its context, initialized as by TorchServe."""

    def of(kind):
        context = Context("scale", str(folder), {}, 3, None, "0.12.0", metrics=Cache())
        handler = kind()
        handler.initialize(context)
        return handler, context

    return of
