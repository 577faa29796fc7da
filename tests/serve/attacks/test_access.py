"""Every route with every kind of key, against a real Envoy; and tokens that somebody forged."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import jwt
import pytest

from marina.security.access_keys import ISSUER, SigningKey, key_id, new_key
from marina.serving.envoy import audit_log
from tests.serve.support.bundle import eventually
from tests.serve.support.keyed_envoy import KeyedEnvoy, keyed_envoy

pytestmark = pytest.mark.serve

# Method, path, and the scopes any of which opens it.
ROUTES = [
    ("POST", "/predictions/a", {"predict", "predict:a"}),
    ("POST", "/predictions/a/1.0", {"predict", "predict:a"}),
    ("POST", "/predictions/b", {"predict"}),
    ("POST", "/predictions/a-b", {"predict"}),
    ("POST", "/predictions/foreign", {"predict"}),
    ("POST", "/wfpredict/flow", {"predict"}),
    ("POST", "/explanations/a", {"explain", "explain:a"}),
    ("POST", "/explanations/b/2.0", {"explain"}),
    ("POST", "/v1/feedback", {"feedback"}),
    ("GET", "/v1/feedback/some-id", {"feedback"}),
    ("GET", "/v1/experiments", {"experiments"}),
    ("PUT", "/v1/experiments/digits/weights", {"experiments"}),
    ("GET", "/metrics", {"metrics"}),
    ("GET", "/ping", {"metrics"}),
    ("GET", "/v1/keys", {"manage"}),
    ("DELETE", "/v1/keys/0123", {"manage"}),
]
SCOPES = ("predict", "predict:a", "explain", "explain:a", "feedback", "experiments", "metrics", "manage")
ANY_KEY = [("GET", "/v1/models"), ("GET", "/v1/models/a/example")]
OPEN = [("GET", "/ready"), ("GET", "/docs"), ("GET", "/docs/static/swagger-ui.css"), ("GET", "/openapi.json")]
NOWHERE = [
    ("GET", "/v1"),
    ("GET", "/nothing"),
    ("GET", "/v1/modelsx"),
    ("GET", "/readyz"),
    ("POST", "/PREDICTIONS/a"),
    ("POST", "/docs/../predictions/b"),
    ("POST", "/predictions/a/../b"),
    ("POST", "//predictions//b"),
    ("POST", "/docs/%2e%2e/predictions/b"),
]


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory):
    with keyed_envoy(tmp_path_factory.mktemp("k")) as started:
        yield started


@pytest.fixture(scope="module")
def keys(envoy):
    """One key for each scope, all known to Envoy."""
    found = {scope: envoy.key(scope) for scope in SCOPES}
    for key in found.values():
        envoy.wait_until_known(key)
    return found


@pytest.fixture(scope="module")
def useless(envoy, keys):
    """Keys that have every scope and are still refused: expired, revoked, and never registered."""
    expired = envoy.key(*SCOPES, seconds=-5)
    revoked = envoy.key(*SCOPES)
    envoy.wait_until_known(revoked)
    envoy.revoke(revoked)
    envoy.wait_until_refused(revoked)
    unknown = new_key(envoy.signing.public, "nobody", SCOPES, 3600, None, None, time.time())
    return {"expired": expired, "revoked": revoked, "unknown": unknown}


@pytest.mark.parametrize(("method", "path", "opens"), ROUTES, ids=lambda it: it if isinstance(it, str) else "")
def test_a_route_opens_for_its_scopes_alone(envoy, keys, useless, method, path, opens):
    no_key = envoy.send(method, path)
    assert (no_key.status_code, no_key.headers["www-authenticate"]) == (401, 'Bearer realm="marina"')
    assert no_key.json()["type"] == "UnauthorizedException"
    assert "needs an access key" in no_key.json()["message"]
    for key in useless.values():
        response = envoy.send(method, path, key)
        assert response.status_code == 401, key
        assert response.headers["www-authenticate"] == 'Bearer realm="marina", error="invalid_token"'
        assert set(response.json()) == {"code", "type", "message"}
        reason = "is not valid: Jwt is expired" if key is useless["expired"] else "is revoked, or not of this bundle"
        assert response.json()["message"] == f"this access key {reason}"
    for scope, key in keys.items():
        response = envoy.send(method, path, key)
        assert response.status_code == (200 if scope in opens else 403), scope
        if scope not in opens:
            needed = sorted(opens)[0].partition(":")[0]
            assert response.json()["message"].startswith(f"the key alice lacks the scope {needed}")


@pytest.mark.parametrize(("method", "path"), ANY_KEY)
def test_any_key_opens_what_describes_the_models(envoy, keys, useless, method, path):
    assert envoy.send(method, path).status_code == 401
    assert {envoy.send(method, path, key).status_code for key in useless.values()} == {401}
    assert {envoy.send(method, path, key).status_code for key in keys.values()} == {200}


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_open_paths_need_no_key_and_take_no_revoked_one(envoy, keys, useless, method, path):
    caller = {name.lower(): value for name, value in envoy.send(method, path).json()["headers"].items()}
    assert caller["x-marina-caller"] == "key=;name=;node="
    known = envoy.send(method, path, keys["metrics"]).json()["headers"]
    assert known["x-marina-caller"] == f"key={keys['metrics'].id};name=alice;node="
    assert envoy.send(method, path, useless["revoked"]).status_code == 401
    assert envoy.send(method, path, Authorization="Bearer nonsense").status_code == 200


@pytest.mark.parametrize(("method", "path"), NOWHERE)
def test_what_no_scope_names_is_refused(envoy, keys, method, path):
    raw = {"method": method, "url": f"{envoy.url}/"}
    statuses = []
    for headers in ({}, envoy.bearer(keys["predict:a"])):
        request = envoy.http.build_request(**raw, headers=headers)
        request.url = request.url.copy_with(raw_path=path.encode())
        statuses.append(envoy.http.send(request).status_code)
    assert statuses == [401, 403]


def test_a_key_reaches_nobody_behind_envoy(envoy, keys):
    seen = envoy.send("POST", "/predictions/a", keys["predict"]).json()["headers"]
    assert seen["authorization"] == "Bearer torchserve-token"
    assert "x-marina-caller" not in seen
    token = envoy.signing.token(keys["predict"])
    assert token not in json.dumps(seen)
    seen = envoy.send("GET", "/v1/experiments", keys["experiments"], **{"x-marina-caller": "key=0;name=eve;node="})
    assert "authorization" not in seen.json()["headers"]
    assert seen.json()["headers"]["x-marina-caller"] == f"key={keys['experiments'].id};name=alice;node="


def forged(envoy: KeyedEnvoy, tmp_path) -> dict[str, str]:
    """Tokens with every scope that nobody of this bundle signed."""
    key = envoy.key(*SCOPES)
    own, other = envoy.signing, SigningKey(tmp_path)
    kid = {"kid": key_id(own.public)}
    body = own.token(key).split(".")[1]
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    head, _, signature = own.token(key).split(".")
    changed = base64.urlsafe_b64encode(json.dumps({**key.claims, "sub": "root"}).encode()).rstrip(b"=").decode()
    return {
        "another signer": jwt.encode(key.claims, other._key, "EdDSA", headers=kid),
        "no algorithm": f"{none}.{body}.",
        "the public key as a secret": jwt.encode(key.claims, own.public.encode(), "HS256", headers=kid),
        "changed claims": f"{head}.{changed}.{signature}",
        "another issuer": jwt.encode({**key.claims, "iss": "x"}, own._key, "EdDSA", headers=kid),
        "no expiry": jwt.encode({"iss": ISSUER, "jti": key.id, "scopes": list(SCOPES)}, own._key, "EdDSA", headers=kid),
    }


def test_forged_tokens_open_nothing(envoy, tmp_path):
    for kind, token in forged(envoy, tmp_path).items():
        response = envoy.send("POST", "/predictions/a", Authorization=f"Bearer {token}")
        assert response.status_code == 401, kind


def test_a_token_counts_in_its_header_alone(envoy, keys):
    token = envoy.signing.token(keys["predict"])
    assert envoy.send("POST", f"/predictions/a?access_token={token}").status_code == 401
    assert envoy.send("POST", "/predictions/a", Cookie=f"token={token}").status_code == 401
    assert envoy.send("POST", "/predictions/a", Authorization=f"Basic {token}").status_code == 401


def test_a_key_over_its_rate_gets_429_that_names_the_rate(envoy):
    key, other = envoy.key("predict", rate=1), envoy.key("predict", rate=1)
    envoy.wait_until_known(other)
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: envoy.send("POST", "/predictions/a", key), range(24)))
    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "1"
    message = "the key alice may send 1 requests per second"
    assert refused[0].json() == {"code": 429, "type": "TooManyRequestsException", "message": message}
    assert envoy.send("POST", "/predictions/a", other).status_code == 200


def test_a_key_has_one_rate_from_however_many_addresses_it_is_used(envoy):
    key = envoy.key("predict", rate=1)
    envoy.wait_until_known(key)
    start, accepted = time.monotonic(), 0
    for number in range(2, 34):
        transport = httpx.HTTPTransport(local_address=f"127.0.0.{number}")
        with httpx.Client(transport=transport, base_url=envoy.url, trust_env=False) as client:
            accepted += client.post("/predictions/a", content=b"{}", headers=envoy.bearer(key)).status_code == 200
    assert accepted <= key.burst + (time.monotonic() - start) + 1


def test_the_audit_log_names_who_changed_what_and_who_was_refused(envoy, keys, useless):
    envoy.send("PUT", "/v1/experiments/audited/weights?x=secret", keys["experiments"])
    envoy.send("GET", "/metrics", keys["predict"], **{"X-Request-Id": "audited-1"})
    envoy.send("POST", "/predictions/a", keys["predict"], **{"X-Request-Id": "not-audited"})
    file = audit_log.audit_file(envoy.settings)
    eventually(lambda: file.exists() and "audited-1" in file.read_text(), "the log has both lines", 10)
    text = file.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    changed = next(line for line in lines if line["path"] == "/v1/experiments/audited/weights")
    assert (changed["key"], changed["name"], changed["method"]) == (keys["experiments"].id, "alice", "PUT")
    refused = next(line for line in lines if line["request_id"] == "audited-1")
    assert (refused["status"], refused["key"]) == (403, keys["predict"].id)
    assert "not-audited" not in text
    assert "eyJ" not in text
    assert "secret" not in text


def test_refused_requests_of_grpc_are_audited(envoy, keys):
    """Envoy's refusal of such a content type has the status 200."""
    slow = envoy.key("predict", rate=1)
    envoy.wait_until_known(slow)
    rated = [(f"grpc-rate-{number}", slow) for number in range(9)]
    for request_id, key in (("grpc-no-key", None), ("grpc-scope", keys["metrics"]), *rated):
        sent = {"X-Request-Id": request_id, "Content-Type": "application/grpc"}
        assert envoy.send("POST", "/predictions/a", key, **sent).status_code == 200
    file = audit_log.audit_file(envoy.settings)
    for request_id in ("grpc-no-key", "grpc-scope", "grpc-rate-8"):
        eventually(lambda wanted=request_id: wanted in file.read_text(), f"{request_id} is in the log", 15)


@pytest.mark.parametrize("path", ["a/", "a/1.0/", "a/1.0/x", "%25a"])
def test_no_spelling_of_a_path_gets_round_the_routes_of_a_model(envoy, keys, path):
    """TorchServe reads the first three as a model and its version."""
    response = envoy.send("POST", f"/predictions/{path}", keys["predict"])
    assert "torchserve-token" not in response.text


@pytest.mark.long
def test_500_requests_in_a_second_at_rate_50_give_50(envoy):
    key = envoy.key("predict", rate=50)
    envoy.wait_until_known(key)
    headers = envoy.bearer(key)
    time.sleep(1)  # the bucket is full
    start = time.perf_counter()

    def send(number: int) -> tuple[int, float]:
        time.sleep(max(0.0, start + number / 510 - time.perf_counter()))
        status = envoy.http.post("/predictions/a", content=b"{}", headers=headers).status_code
        return status, time.perf_counter() - start

    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(send, range(500)))
    seconds = max(1.0, max(at for _, at in replies))
    accepted = sum(status == 200 for status, _ in replies)
    print(f"{accepted} of 500 in {seconds:.2f} s")
    assert abs(accepted - 50 * seconds) <= 2


def test_the_next_key_is_signed_by_a_new_signer_and_old_keys_stay(envoy, keys):
    (envoy.settings.keys / "access.key").unlink()
    signing = SigningKey(envoy.settings.keys)
    assert signing.public != envoy.signing.public
    key = replace(envoy.key("predict"), signer=signing.public)
    envoy.registry.add(replace(key, id="0f0f0f0f"))
    envoy.publish()
    token = signing.token(replace(key, id="0f0f0f0f"))
    bearer = {"Authorization": f"Bearer {token}"}
    eventually(lambda: envoy.send("POST", "/predictions/a", **bearer).status_code == 200, "the new signer counts", 10)
    assert envoy.send("POST", "/predictions/a", keys["predict"]).status_code == 200
