"""Access keys: claims, durations, and the key that signs."""

import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest

from marina.errors import AccessKeyError
from marina.security.access_keys import SigningKey, jwk, key_id, new_key, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90d", 7_776_000), ("12h", 43_200), ("30m", 1800), ("45s", 45), ("2w", 1_209_600)]
)
def test_a_duration_has_a_unit(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "0d", "-1d", "1.5h", "d", "90 d", "90D", "forever", "3661d", "١d"])
def test_a_duration_that_is_none_is_refused(text):
    with pytest.raises(AccessKeyError, match="such as 90d"):
        seconds_of(text)


def key(**more):
    given = {"name": "alice", "scopes": ("predict",), "seconds": 60, "rate": None, "burst": None, "now": 1000.5}
    return new_key("signer", **{**given, **more})


def test_a_token_holds_the_claims_and_its_key_verifies_it(tmp_path):
    signing = SigningKey(tmp_path)
    made = key(rate=50, now=time.time())
    token = signing.token(made)
    public = jwt.PyJWK(jwk(signing.public))
    claims = jwt.decode(token, public, ["EdDSA"], issuer="marina")
    times = {"iat": int(made.created), "exp": int(made.created + 60)}
    named = {"iss": "marina", "sub": "alice", "jti": made.id, "scopes": ["predict"], "rate": 50}
    assert claims == named | times
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "JWT", "kid": key_id(signing.public)}
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, jwt.PyJWK(jwk(SigningKey(tmp_path / "other").public)), ["EdDSA"])
    assert "rate" not in key().claims


def test_a_key_is_active_until_it_expires_or_is_revoked():
    made = key()
    assert [made.state(now) for now in (1000.5, 1060.4, 1060.5)] == ["active", "active", "expired"]
    assert made.__class__(**{**made.__dict__, "revoked": 1001.0}).state(1002) == "revoked"


@pytest.mark.parametrize(
    ("rate", "burst", "expected"), [(1, None, 2), (50, None, 2), (1000, None, 40), (50, 10, 10), (None, None, None)]
)
def test_few_requests_may_come_at_once_unless_the_key_says_more(rate, burst, expected):
    assert key(rate=rate, burst=burst).burst == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "a;node=x"},
        {"name": "é"},
        {"name": "a" * 65},
        {"scopes": ()},
        {"rate": 0},
        {"burst": 5},
        {"rate": 5, "burst": 0},
    ],
)
def test_a_key_that_is_not_valid_is_refused(wrong):
    with pytest.raises(AccessKeyError):
        key(**wrong)


def test_the_signing_key_is_made_once_and_private(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: SigningKey(tmp_path / "keys").public, range(16)))
    assert len(set(found)) == 1
    assert (tmp_path / "keys" / "access.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
