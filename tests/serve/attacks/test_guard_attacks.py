"""Attacks on the guardrail of a running bundle: one client can't take a variant out of service."""

import socket
import threading
import time

import httpx
import pytest

from marina.experiments import queries
from marina.experiments.database import connect
from tests.serve.support.bundle import Bundle, eventually
from tests.serve.support.load import Load

pytestmark = [pytest.mark.serve, pytest.mark.long]

CONTROL, CANDIDATE = "alpha@1.0", "beta@1.0"
GUARD = {"errors": 0.01, "latency": 1.25}


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    """Serves two equal models, and one that fails for a part of its requests."""
    instance.pack("alpha", batch=8, workers=2)
    instance.pack("beta", batch=8, workers=2)
    instance.pack("faulty", batch=1, errors=0.5)
    instance.do("serve")
    return instance


def create(bundle: Bundle, name: str, candidate: str = CANDIDATE) -> str:
    """Create a guarded experiment of two halves; return its URL."""
    variants = [
        {"model": "alpha", "version": "1.0", "weight": 50},
        {"model": candidate.partition("@")[0], "version": "1.0", "weight": 50},
    ]
    experiment = {"name": name, "variants": variants, "control": CONTROL, "guard": GUARD}
    response = bundle.experiments("POST", experiment=experiment)
    assert response.status_code == 201, response.text
    return f"{bundle.settings.url}/predictions/{name}"


def user_of(url: str, variant: str, start: int = 0) -> str:
    """Return a user whom the split has given this variant: anybody can find one, by trying."""
    for number in range(start, start + 100):
        user = f"found-{number}"
        response = httpx.post(url, json={}, headers={"x-user-id": user}, timeout=30, trust_env=False)
        if response.headers.get("x-variant") == variant or response.headers.get("x-variant-source") == "fallback":
            return user
    raise AssertionError(variant)


def changes(bundle: Bundle, name: str) -> list[str]:
    return [change["what"] for change in bundle.experiments("GET", f"/{name}").json()["history"]]


def settled(bundle: Bundle, name: str, count: int) -> None:
    """Wait until so many requests are in the database, and the guard has seen them."""
    engine = connect(bundle.settings.database_url)
    eventually(lambda: sum(len(it.at) for it in queries.requests(engine, name, 0).values()) >= count, "they are logged")
    time.sleep(3)  # passes of the control loop


def slow_upload(bundle: Bundle, name: str, user: str, seconds: float) -> None:
    """Send all of a request but its last byte, and that after so many seconds."""
    head = f"POST /predictions/{name} HTTP/1.1\r\nhost: m\r\nx-user-id: {user}\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", bundle.settings.port), timeout=30) as client:
        client.sendall(f"{head}content-length: 2\r\n\r\n{{".encode())
        time.sleep(seconds)
        client.sendall(b"}")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_slow_uploads_do_not_trip_the_guard(bundle: Bundle):
    """Forty users of the candidate hold back their last byte for 2 s: until now that was the candidate's latency."""
    url = create(bundle, "slow")
    users = [user for user in (f"slow-{number}" for number in range(120)) if owner(url, user) == CANDIDATE][:40]
    with Load(url, rate=20, users=100_000) as load:
        senders = [threading.Thread(target=slow_upload, args=(bundle, "slow", user, 2.0)) for user in users]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        load.wait_for(40)
    settled(bundle, "slow", 120 + len(users) + len(load.responses) - 5)
    assert changes(bundle, "slow") == ["create"]
    recorded = queries.requests(connect(bundle.settings.database_url), "slow", 0)[CANDIDATE].seconds
    assert recorded[recorded == recorded].max() < 1.9


def owner(url: str, user: str) -> str:
    response = httpx.post(url, json={}, headers={"x-user-id": user}, timeout=30, trust_env=False)
    return response.headers["x-variant"]


@pytest.mark.parametrize("keyed", [True, False])
def test_the_errors_of_one_client_do_not_trip_the_guard(bundle: Bundle, keyed: bool):
    """A user, or an address without a user's key, counts once, however many of its requests fail."""
    name = f"one-{keyed}".lower()
    url = create(bundle, name, "faulty@1.0")
    user = {"x-user-id": user_of(url, "faulty@1.0")} if keyed else {}
    with httpx.Client(timeout=30, trust_env=False) as client:
        sources = [client.post(url, json={}, headers=user).headers["x-variant-source"] for _ in range(120)]
    assert sources.count("fallback") > 20
    settled(bundle, name, 120)
    assert changes(bundle, name) == ["create"]
    with Load(url, rate=30, users=100_000):  # the same errors of many users do
        eventually(lambda: changes(bundle, name) == ["guard", "create"], "the guard acts", 90)


def test_errors_that_the_input_caused_do_not_count(bundle: Bundle):
    """A body that Envoy or the handler refuses with 4xx, from as many users as anybody likes."""
    url = create(bundle, "inputs")
    body = b"x" * (33 << 20)
    with httpx.Client(timeout=60, trust_env=False) as client:
        for number in range(30):
            response = client.post(url, content=body, headers={"x-user-id": f"user-{number}"})
            assert response.status_code == 413
    time.sleep(3)
    assert changes(bundle, "inputs") == ["create"]
