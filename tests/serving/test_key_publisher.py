"""The loop that lets Envoy follow the registry, and the rotation of the audit log."""

import logging
import time

import httpx
import pytest

from marina.security.access_keys import new_key
from marina.security.key_registry import KeyRegistry
from marina.serving.envoy import audit_log, gateway
from marina.serving.key_publisher import KeyPublisher


@pytest.fixture
def guarded(settings):
    settings.make_folders()
    return settings.model_copy(update={"access_keys": True})


def test_only_active_keys_are_published(guarded):
    registry = KeyRegistry(guarded)
    kept, gone = (new_key("c2ln", name, ("predict",), 60, 5, None, time.time()) for name in ("kept", "gone"))
    registry.add(kept)
    registry.add(gone)
    publisher = KeyPublisher(guarded)
    publisher.publish()
    file = guarded.envoy / "access.registered.json"
    assert kept.id in file.read_text()
    assert gone.id in file.read_text()
    registry.revoke(gone.id)
    publisher.publish()
    assert kept.id in file.read_text()
    assert gone.id not in file.read_text()
    assert gone.id not in (guarded.envoy / "access.rates.json").read_text()


def test_keys_stay_while_the_registry_does_not_respond(guarded, caplog, monkeypatch):
    monkeypatch.setattr(gateway, "publish_keys", lambda *_: pytest.fail("published"))
    (guarded.keys / "access_keys.db").mkdir(parents=True)
    publisher = KeyPublisher(guarded)
    with caplog.at_level(logging.ERROR):
        publisher.publish()
        publisher.publish()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_long_audit_log_is_rotated_and_the_oldest_dropped(guarded, monkeypatch):
    monkeypatch.setattr(audit_log, "MAX_BYTES", 10)
    reopened = []
    monkeypatch.setattr(gateway, "reopen_logs", lambda _: reopened.append(1))
    file, publisher = audit_log.audit_file(guarded), KeyPublisher(guarded)
    publisher._rotate()
    for number in range(audit_log.BACKUPS + 2):
        file.write_text("x" * 9)
        publisher._rotate()
        file.write_text(f"{number} is too long")
        publisher._rotate()
    assert len(reopened) == audit_log.BACKUPS + 2
    found = sorted(each.name for each in guarded.logs.glob("audit.log*"))
    assert found == [f"audit.log.{number}" for number in range(1, audit_log.BACKUPS + 1)]
    assert (guarded.logs / "audit.log.1").read_text() == f"{audit_log.BACKUPS + 1} is too long"


def test_an_envoy_that_does_not_respond_ends_no_loop(guarded, monkeypatch, caplog):
    def refuse(_):
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(audit_log, "MAX_BYTES", 1)
    monkeypatch.setattr(gateway, "reopen_logs", refuse)
    audit_log.audit_file(guarded).write_text("long")
    KeyPublisher(guarded)._rotate()
    assert "not rotated" in caplog.text
