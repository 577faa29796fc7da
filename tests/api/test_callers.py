"""Callers with and without an access key: what control shows them, and lets them do."""

import pytest

from marina.experiments.manager import ExperimentManager  # noqa: F401 - imported by the fixtures' app
from marina.security import caller
from marina.security.access_keys import new_key
from marina.security.key_registry import KeyRegistry
from tests.api.client import call
from tests.experiments.routing.envoy_instance import experiment

ANONYMOUS = {"x-marina-caller": "key=;name=;node="}
ALICE = {"x-marina-caller": "key=0a1b;name=alice;node="}
NODE = {"x-marina-caller": "key=;name=;node=CN=node-1"}


@pytest.fixture
def guarded(application):
    """The app of a bundle that needs keys."""
    reconciler = application.state.reconciler
    reconciler.settings.access_keys = True
    yield application
    reconciler.settings.access_keys = None


def through_envoy(app, method, path, headers, **more):
    """Return the response to a request that Envoy forwards, with its proof."""
    proof = {"x-marina-caller-proof": caller.proof(app.state.reconciler.settings)}
    return call(app, method, path, headers={**headers, **proof}, **more)


def test_readiness_has_no_details_for_callers_without_a_key(guarded):
    assert call(guarded, "GET", "/ready", headers=ANONYMOUS).json() == {"ready": True}
    for known in (ALICE, NODE, {}):  # without the header: control's own port, which only this machine reaches
        assert "models" in through_envoy(guarded, "GET", "/ready", known).json()
    guarded.state.reconciler.slow = 99
    response = call(guarded, "GET", "/ready", headers=ANONYMOUS)
    assert (response.status_code, response.json()) == (503, {"ready": False})


def test_the_document_names_no_model_to_callers_without_a_key(guarded):
    document = call(guarded, "GET", "/openapi.json", headers=ANONYMOUS).json()
    assert "/predictions/{model}" in document["paths"]
    assert "/predictions/a" not in document["paths"]
    assert document["components"]["securitySchemes"]["access key"]["scheme"] == "bearer"
    assert document["security"] == [{"access key": []}]
    assert "/predictions/a" in through_envoy(guarded, "GET", "/openapi.json", ALICE).json()["paths"]


def test_without_keys_the_document_asks_for_none(application):
    document = call(application, "GET", "/openapi.json").json()
    assert "security" not in document
    assert "/predictions/a" in document["paths"]


@pytest.mark.parametrize("claimed", [ANONYMOUS, NODE, {}, {"x-marina-caller": "key=0a1b"}])
def test_only_a_key_takes_the_place_of_the_management_token(guarded, claimed):
    for method, path in (("GET", "/v1/experiments"), ("GET", "/v1/keys"), ("DELETE", "/v1/keys/0a")):
        assert through_envoy(guarded, method, path, claimed).status_code == 401


@pytest.mark.parametrize("proof", [{}, {"x-marina-caller-proof": ""}, {"x-marina-caller-proof": "\xe9"}])
def test_a_caller_counts_nothing_without_envoys_proof(guarded, proof):
    """Code in a worker may connect to control's socket."""
    forged = [(name, value.encode("latin-1")) for name, value in {**ALICE, **proof}.items()]
    for method, path in (("GET", "/v1/experiments"), ("GET", "/v1/keys"), ("DELETE", "/v1/keys/0a")):
        assert call(guarded, method, path, headers=forged).status_code == 401
    assert call(guarded, "GET", "/ready", headers=forged).json() == {"ready": True}


def test_the_proof_is_the_owners_alone(settings):
    assert caller.proof(settings) == caller.proof(settings)
    assert (settings.run / "caller_proof").stat().st_mode & 0o777 == 0o600


def test_a_forged_caller_counts_nothing_where_requests_need_no_key(application):
    assert call(application, "GET", "/v1/experiments", headers=ALICE).status_code == 401


def test_the_holder_of_a_key_is_who_made_a_change(experimenting):
    experimenting.state.reconciler.settings.access_keys = True
    body = {"experiment": experiment().model_dump(mode="json"), "who": "somebody else", "why": "to see"}
    made = through_envoy(experimenting, "POST", "/v1/experiments", ALICE, json=body).json()
    experimenting.state.reconciler.settings.access_keys = None
    assert (made["who"], made["why"]) == ("alice (key 0a1b)", "to see")


def test_keys_are_listed_without_tokens_and_revoked(guarded):
    settings = guarded.state.reconciler.settings
    key = new_key("signer", "bob", ("predict",), 60, 5, None, 1.0)
    KeyRegistry(settings).add(key)
    (shown,) = through_envoy(guarded, "GET", "/v1/keys", ALICE).json()
    assert (shown["id"], shown["name"], shown["state"], shown["rate"]) == (key.id, "bob", "expired", 5)
    assert "signer" not in shown
    settings.envoy.mkdir(parents=True, exist_ok=True)
    revoked = through_envoy(guarded, "DELETE", f"/v1/keys/{key.id}", ALICE)
    assert (revoked.status_code, revoked.json()["state"]) == (200, "revoked")
    missing = through_envoy(guarded, "DELETE", "/v1/keys/00", ALICE)
    assert (missing.status_code, missing.json()["message"]) == (404, "there is no key 00: `marina key list` shows all")
