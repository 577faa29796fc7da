"""Fixtures of command-line tests: a bundle that seems to run, and the printed text."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from marina.cli import bundle_client, inference
from marina.serving import supervisor
from marina.serving.reconciler import desired_state
from marina.serving.reconciler.desired_state import DesiredState
from marina.serving.reconciler.model_store import archives
from tests.serving import conftest as serving
from tests.serving.archive_files import write_mar

no_settings_of_this_machine = serving.no_settings_of_this_machine
settings, network = serving.settings, serving.network


@pytest.fixture
def printed(monkeypatch) -> io.StringIO:
    file = io.StringIO()
    monkeypatch.setattr(bundle_client, "console", Console(file=file, width=200))
    monkeypatch.setattr(inference, "console", bundle_client.console)
    return file


@pytest.fixture
def running(monkeypatch, printed):
    """A bundle that runs: `running.found` is the statuses that control reports in order; the last one repeats."""
    state = SimpleNamespace(found=[], polls=0)

    def status(_):
        state.polls += 1
        return state.found.pop(0) if len(state.found) > 1 else state.found[0]

    monkeypatch.setattr(supervisor, "process", lambda _: True)
    monkeypatch.setattr(bundle_client, "status", status)
    monkeypatch.setattr(bundle_client.time, "sleep", lambda _: None)
    return state


@pytest.fixture
def served(settings, running):
    """A bundle that serves cat 1.0 and 2.0; 1.0 is the default."""
    for each in ("1.0", "2.0"):
        write_mar(settings, "cat", each, **{"model-config__yaml": "minWorkers: 2"})
    desired = DesiredState()
    for each in archives(settings.store)["cat"]:
        desired.add(each, 2)
    desired_state.save(settings, desired)
    return running
