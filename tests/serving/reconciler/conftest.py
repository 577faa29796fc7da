"""Fixtures of reconciler tests."""

import time

import pytest

from marina.serving.reconciler import background_tasks, model_version, reconciler
from marina.serving.torchserve import process
from tests.serving.fake_servers import FakeServers


@pytest.fixture
def quick_polls(monkeypatch) -> None:
    """Polls a millisecond apart."""
    monkeypatch.setattr(background_tasks, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(process, "LOG_POLL_SECONDS", 0.001)
    monkeypatch.setattr(process, "LOG_TIMEOUT_SECONDS", 0.002)
    monkeypatch.setattr(reconciler, "MIN_POLL_INTERVAL", 0.0)


@pytest.fixture
def servers(settings, network) -> FakeServers:
    """TorchServe, which has not started, and Envoy."""
    made = FakeServers(settings)
    network.handler = made
    return made


@pytest.fixture
def now(monkeypatch) -> list[float]:
    """Seconds that are added to the time, in a list that a test may change."""
    added, monotonic = [0.0], time.monotonic
    monkeypatch.setattr(model_version.time, "monotonic", lambda: monotonic() + added[0])
    return added
