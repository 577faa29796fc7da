"""A whole bundle that needs keys: every service behind Envoy, revocation, the command line, and refused starts."""

import time

import httpx
import pytest

from marina.security.access_keys import SigningKey, new_key
from marina.security.key_registry import KeyRegistry
from marina.security.scopes import ROLES
from tests.serve.support.bundle import Bundle, eventually
from tests.support.certificates import Authority

pytestmark = pytest.mark.serve

BODY = {"content": b'{"x": 1}', "headers": {"content-type": "application/json"}}
ROUTES = [
    ("POST", "/predictions/alpha", "predict:alpha"),
    ("POST", "/predictions/alpha/1.0", "predict"),
    ("GET", "/v1/models", "feedback"),
    ("GET", "/v1/experiments", "experiments"),
    ("GET", "/v1/keys", "manage"),
    ("GET", "/metrics", "metrics"),
]


@pytest.fixture(scope="module")
def keyed(instance, tmp_path_factory):
    """The bundle on loopback, with TLS and keys, serving one model."""
    pair = Authority(tmp_path_factory.mktemp("ca"), "ca").issue("node")
    more = {"cert": pair.cert, "key": pair.key, "access_keys": True}
    bundle = Bundle(instance.settings.model_copy(update=more))
    bundle.pack("alpha")
    bundle.printed = bundle.do("serve")
    yield bundle
    bundle.http.close()


def create(bundle: Bundle, *scopes: str) -> str:
    """Store a key as another node would, and return its token: the command takes seconds to import."""
    signing = SigningKey(bundle.settings.keys)
    key = new_key(signing.public, "alice", scopes, 3600, None, None, time.time())
    KeyRegistry(bundle.settings).add(key)
    return signing.token(key)


def send(bundle: Bundle, method: str, path: str, token: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    extra = BODY if method == "POST" else {"headers": {}}
    return bundle.http.request(method, path, **{**extra, "headers": {**extra["headers"], **headers}})


def status(bundle: Bundle, token: str) -> int:
    return send(bundle, "GET", "/v1/models", token).status_code


def known(bundle: Bundle, token: str) -> str:
    eventually(lambda: status(bundle, token) == 200, "Envoy has the key", 10)
    return token


def test_the_start_says_what_is_exposed(keyed):
    assert f"exposed: 127.0.0.1:{keyed.settings.port} to this machine alone, TLS" in keyed.printed
    assert "access:  by key (0 active)" in keyed.printed
    assert "marina key create" in keyed.printed
    assert 'Authorization: Bearer $MARINA_API_KEY"' in keyed.printed


def test_a_worker_that_claims_to_be_envoy_is_no_operator(keyed):
    """Landlock does not cover connections: code in a worker reaches control's socket."""
    transport = httpx.HTTPTransport(uds=str(keyed.settings.control_socket))
    forged = {"x-marina-caller": "key=0a1b;name=eve;node=", "x-marina-caller-proof": "guessed"}
    with httpx.Client(transport=transport, base_url="http://control", headers=forged) as worker:
        requests = (("GET", "/v1/keys"), ("DELETE", "/v1/keys/0a1b"), ("POST", "/v1/experiments/x/stop"))
        assert [worker.request(*each).status_code for each in requests] == [401] * 3
    token = known(keyed, create(keyed, "manage"))
    sent = {"authorization": f"Bearer {token}", **forged}
    assert "alice" in keyed.http.get("/v1/keys", headers=sent).text


def test_every_service_opens_for_its_scope_alone(keyed):
    useless = known(keyed, create(keyed, "explain:nothing"))
    for method, path, scope in ROUTES:
        token = known(keyed, create(keyed, scope))
        statuses = [send(keyed, method, path, each).status_code for each in ("", "a.b.c", useless, token)]
        wrong = 200 if path == "/v1/models" else 403
        assert statuses == [401, 401, wrong, 200], path


def test_readiness_and_the_page_are_open_and_name_no_model(keyed):
    assert send(keyed, "GET", "/ready").json() == {"ready": True}
    assert send(keyed, "GET", "/docs").status_code == 200
    document = send(keyed, "GET", "/openapi.json")
    assert "alpha" not in document.text
    assert "securitySchemes" in document.text
    token = known(keyed, create(keyed, "predict"))
    assert "/predictions/alpha" in send(keyed, "GET", "/openapi.json", token).json()["paths"]
    assert "alpha" in send(keyed, "GET", "/ready", token).json()["models"]


def test_the_management_token_opens_nothing_from_outside(keyed):
    for kind in ("management", "inference"):
        headers = keyed.token(kind)
        assert keyed.http.get("/v1/experiments", headers=headers).status_code == 401
        assert keyed.http.post("/predictions/alpha", headers=headers, content=b"{}").status_code == 401


def test_a_key_is_revoked_here_and_by_another_node(keyed):
    registry = KeyRegistry(keyed.settings)
    for revoke in (lambda it: keyed.do("key", "revoke", it), registry.revoke):  # the second as another node would
        token = known(keyed, create(keyed, "predict"))
        newest = registry.all()[-1].id
        start = time.monotonic()
        revoke(newest)
        eventually(lambda token=token: status(keyed, token) == 401, "the key is refused", 10)
        print(f"refused {time.monotonic() - start:.2f} s after it was revoked, the command included")
        assert status(keyed, token) == 401


def test_an_admin_revokes_a_key_by_the_api(keyed):
    admin = known(keyed, create(keyed, *ROLES["admin"]))
    token = known(keyed, create(keyed, "predict"))
    (key_id,) = [key["id"] for key in send(keyed, "GET", "/v1/keys", admin).json()][-1:]
    assert send(keyed, "DELETE", f"/v1/keys/{key_id}", token).status_code == 403
    assert send(keyed, "DELETE", f"/v1/keys/{key_id}", admin).json()["state"] == "revoked"
    eventually(lambda: status(keyed, token) == 401, "the key is refused", 10)


def test_the_command_line_works_with_keys_on(keyed, tmp_path):
    file = tmp_path / "x.json"
    file.write_text('{"x": 1}')
    keyed.do("ab", "show")
    refused = keyed.run("predict", "alpha", str(file))
    assert refused.returncode == 1
    assert "MARINA_API_KEY" in refused.stderr
    token = known(keyed, keyed.do("key", "create", "--scope", "predict:alpha").strip())
    sent = keyed.run("predict", "alpha", str(file), MARINA_API_KEY=token)
    assert sent.returncode == 0, sent.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "0.0.0.0"], "TLS"),
        (["--host", "0.0.0.0", "--keys"], "TLS"),
        (["--host", "0.0.0.0", "--no-keys"], "access keys"),
    ],
)
def test_another_address_does_not_start_without_keys_and_tls(instance, tmp_path, words, message):
    refused = instance.run("serve", *words, MARINA_VAR=str(tmp_path / "var"))
    assert refused.returncode == 1
    assert message in refused.stderr
    assert "--insecure" in refused.stderr
    assert not (tmp_path / "var" / "run" / "supervisord.pid").exists()
