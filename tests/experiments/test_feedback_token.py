"""Feedback tokens: only what Envoy has signed is verified; keys rotate, and are shared by nodes."""

from hashlib import sha256
from hmac import new as hmac

import pytest

from marina.experiments.database import connect, read_session
from marina.experiments.feedback_token import (
    FEEDBACK_SECONDS,
    ROTATION_SECONDS,
    Claims,
    signing_key,
    stored_keys,
    verify,
)
from tests.experiments.log_lines import NOW

KEY, OTHER = "6b" * 32, "6c" * 32


def token(signed: str = "digits.v2.5f0e.1763800000", request_id: str = "ada-1", key: str = KEY) -> str:
    return f"{signed}.{hmac(key.encode(), f'{signed} {request_id}'.encode(), sha256).hexdigest()}"


def test_a_token_proves_experiment_exposure_time_and_request():
    assert verify(token(), "ada-1", [OTHER, KEY]) == Claims("digits.v2", "5f0e", 1763800000.0, "ada-1")


@pytest.mark.parametrize(
    ("forged", "request_id", "keys"),
    [
        (token(key=OTHER), "ada-1", [KEY]),
        (token(), "ada-2", [KEY]),
        (token(), "ada-1", []),
        (token().replace("5f0e", "5f0f"), "ada-1", [KEY]),
        (token().replace("1763800000", "1863800000"), "ada-1", [KEY]),
        (token().replace("digits", "others"), "ada-1", [KEY]),
        (token()[:-1], "ada-1", [KEY]),
        (token().rpartition(".")[0] + ".", "ada-1", [KEY]),
        (token().upper(), "ada-1", [KEY]),
        ("", "ada-1", [KEY]),
        ("...", "ada-1", [KEY]),
        ("\ud800.é.1.ß", "ada-1", [KEY]),
    ],
)
def test_a_forged_or_foreign_token_proves_nothing(forged, request_id, keys):
    assert verify(forged, request_id, keys) is None


def keys(engine) -> list[str]:
    with read_session(engine) as session:
        return stored_keys(session)


def test_nodes_share_a_key_which_rotates_and_verifies_until_its_last_token_is_late(engine, url):
    first = signing_key(engine, NOW)
    assert len(bytes.fromhex(first)) == 32
    other_node = connect(url)
    assert signing_key(other_node, NOW + ROTATION_SECONDS - 1) == first
    other_node.dispose()
    second = signing_key(engine, NOW + ROTATION_SECONDS)
    assert first != second
    assert keys(engine) == [second, first]
    third = signing_key(engine, NOW + 2 * ROTATION_SECONDS)
    assert keys(engine) == [third, second]  # first: its last token is 30 days old, and lives 7
    assert (FEEDBACK_SECONDS, ROTATION_SECONDS) == (7 * 86_400, 30 * 86_400)
