"""The commands key create, list and revoke."""

import jwt
import pytest
from typer.testing import CliRunner

from marina import instance
from marina.cli.main import app
from marina.errors import AccessKeyError
from marina.security.access_keys import SigningKey, jwk
from marina.security.key_registry import KeyRegistry
from marina.serving.envoy import access, gateway

runner = CliRunner()


@pytest.fixture
def key(settings, monkeypatch):
    """`key("create", ...)`: run the command on this instance."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    settings.make_folders()
    return lambda *words: runner.invoke(app, ["key", *words], catch_exceptions=False)


def test_a_key_is_printed_once_and_alone(key, settings):
    made = key("create", "--scope", "predict:resnet18,feedback", "--rate", "50", "--expires", "90d", "--name", "alice")
    (token,) = made.stdout.splitlines()
    claims = jwt.decode(token, jwt.PyJWK(jwk(SigningKey(settings.keys).public)), ["EdDSA"])
    assert (claims["sub"], claims["scopes"], claims["rate"]) == ("alice", ["feedback", "predict:resnet18"], 50)
    assert claims["exp"] - claims["iat"] == 90 * 86_400
    assert claims["jti"] in made.stderr
    listed = key("list").stdout
    assert claims["jti"] in listed
    assert token not in listed


def test_a_role_stands_for_its_scopes(key, settings):
    key("create", "--role", "operator", "--scope", "explain:a")
    (made,) = KeyRegistry(settings).all()
    assert set(made.scopes) == {"predict", "explain", "explain:a", "feedback", "experiments", "metrics"}


def test_a_running_bundle_follows_at_once(key, settings, monkeypatch):
    monkeypatch.setenv("MARINA_ACCESS_KEYS", "true")
    monkeypatch.setattr(instance, "process", lambda _: True)
    published = []
    monkeypatch.setattr(gateway, "publish_keys", lambda _, keys: published.append([each.name for each in keys]))
    key("create", "--scope", "predict", "--name", "alice")
    key("create", "--scope", "predict", "--name", "bob")
    (alice, _) = KeyRegistry(settings).all()
    assert "key" in key("revoke", alice.id).stdout
    assert published == [["alice"], ["alice", "bob"], ["bob"]]
    assert "revoked" in key("list").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "needs scopes"),
        (("--scope", "all"), "all is no scope"),
        (("--role", "root"), "root is no role"),
        (("--scope", "predict", "--expires", "never"), "duration"),
        (("--scope", "predict", "--rate", "0"), "rate 0"),
        (("--scope", "predict", "--name", "a b"), "name"),
    ],
)
def test_a_key_that_is_not_valid_is_an_error(key, settings, words, message):
    with pytest.raises(AccessKeyError, match=message):
        key("create", *words)
    assert KeyRegistry(settings).all() == []


def test_an_empty_registry_says_how_to_create_a_key(key):
    assert "marina key create" in key("list").stdout
    with pytest.raises(AccessKeyError, match="there is no key 00"):
        key("revoke", "00")


def test_every_scope_has_a_path():
    from marina.security.scopes import SCOPES

    assert set(access.PATHS) == set(SCOPES)
