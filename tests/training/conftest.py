"""Fixtures and small helpers of the tests of data and training: each test works in a folder of its own."""

from dataclasses import replace
from pathlib import Path

import pytest

import models
from marina.training import run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch):
    """`card(name, **recipe)`: from now on the model called `name` has this in its recipe."""

    def change(name: str, **recipe) -> models.Card:
        changed = replace(models.find(name), recipe=replace(models.find(name).recipe, **recipe))
        monkeypatch.setattr(models, "find", lambda _: changed)
        return changed

    return change


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full presets, too, train on the few examples of a quick one."""
    load = run.DatasetSource.load
    monkeypatch.setattr(run.DatasetSource, "load", lambda found, task="": run.quick_subset(load(found, task)))
