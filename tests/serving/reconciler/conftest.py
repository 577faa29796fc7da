"""Fixtures of reconciler tests."""

import time

import pytest

from marina.serving.reconciler import background_tasks, model_version, reconciler
from marina.serving.torchserve import process
from tests.serving.fake_servers import FakeServers


@pytest.fixture
def quick_polls(monkeypatch) -> None:
    """Shorten the intervals and timeouts of polling to milliseconds."""
    monkeypatch.setattr(background_tasks, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(process, "LOG_POLL_SECONDS", 0.001)
    monkeypatch.setattr(process, "LOG_TIMEOUT_SECONDS", 0.002)
    monkeypatch.setattr(reconciler, "MIN_POLL_INTERVAL", 0.0)


@pytest.fixture
def servers(settings, network) -> FakeServers:
    """Fake TorchServe, not started yet, and fake Envoy, which respond to every request of the reconciler."""
    fakes = FakeServers(settings)
    network.handler = fakes
    return fakes


@pytest.fixture
def clock_offset(monkeypatch) -> list[float]:
    """Offset of the clock in seconds: a list of one number, which a test increases to let time pass."""
    offset, monotonic = [0.0], time.monotonic
    monkeypatch.setattr(model_version.time, "monotonic", lambda: monotonic() + offset[0])
    return offset
