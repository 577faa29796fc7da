"""Fixture that opens an imported model as `marina import` leaves it, without a checkout of its own."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest

from marina.hosting.host import Host
from marina.packaging.imports import model_file
from marina.packaging.imports.imported_model import ImportedModel
from marina.training import artifacts, imported

Open = Callable[[str, ImportedModel], Host]


@pytest.fixture
def opened(tmp_path, monkeypatch) -> Iterator[Open]:
    """Function `opened(task, model)`: a started host of the model's artifacts, with the code of its models/mine.py."""
    monkeypatch.setattr(artifacts, "ARTIFACTS", tmp_path / "artifacts")
    with ExitStack() as stack:

        def open_model(task: str, model: ImportedModel) -> Host:
            module: Any = ModuleType("models.mine")
            exec(model_file.text("mine", task, model), module.__dict__)
            monkeypatch.setitem(sys.modules, "models.mine", module)
            imported.write(module.CARD, "1.0", model, "", None)
            return stack.enter_context(Host.of_artifacts(tmp_path / "artifacts" / "mine" / "1.0"))

        yield open_model
