"""The registry: it survives, takes keys from many at once, and holds no token."""

import multiprocessing
import time

import pytest

from marina.errors import AccessKeyError
from marina.security.access_keys import SigningKey, new_key
from marina.security.key_registry import KeyRegistry
from marina.settings import Settings


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(var=tmp_path / "var", store=tmp_path / "store")


def key(name: str = "alice", seconds: int = 60):
    return new_key("signer", name, ("feedback", "predict:a"), seconds, 50, 3, time.time())


def add(settings: Settings, names: range) -> None:
    registry = KeyRegistry(settings)
    for number in names:
        registry.add(key(f"user-{number}"))


def test_keys_survive_and_only_active_ones_are_published(settings):
    registry = KeyRegistry(settings)
    kept, gone, old = key("kept"), key("gone"), key("old", seconds=-1)
    for each in (kept, gone, old):
        registry.add(each)
    revoked = registry.revoke(gone.id)
    assert revoked.state(time.time()) == "revoked"
    again = KeyRegistry(settings)
    assert again.active() == [kept]
    assert {each.name: each.state(time.time()) for each in again.all()} == {
        "kept": "active",
        "gone": "revoked",
        "old": "expired",
    }


def test_a_revoked_key_stays_revoked(settings):
    registry = KeyRegistry(settings)
    registry.add(key())
    (made,) = registry.all()
    first = registry.revoke(made.id)
    assert registry.revoke(made.id) == first
    with pytest.raises(AccessKeyError, match="there is no key 0123"):
        registry.revoke("0123")


def test_several_processes_create_keys_at_once(settings):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=add, args=(settings, range(at, at + 5))) for at in (0, 5, 10)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    found = KeyRegistry(settings).all()
    assert sorted(each.name for each in found) == sorted(f"user-{number}" for number in range(15))
    assert len({each.id for each in found}) == 15


def test_the_file_is_private_and_holds_no_token(settings):
    registry, signing = KeyRegistry(settings), SigningKey(settings.keys)
    made = key()
    registry.add(made)
    files = list(settings.keys.glob("access_keys.db*"))
    assert files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    signature = signing.token(made).rpartition(".")[2]
    for file in files:
        assert signature.encode() not in file.read_bytes()
        assert b"eyJ" not in file.read_bytes()


def test_a_database_that_does_not_respond_is_an_error(tmp_path):
    nowhere = Settings(var=tmp_path / "var", database="postgresql+psycopg://127.0.0.1:1/none?connect_timeout=1")
    with pytest.raises(AccessKeyError, match="does not respond"):
        KeyRegistry(nowhere).active()
