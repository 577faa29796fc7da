"""Nodes trust each other by certificates of one CA; nobody else is taken for a node. Real Envoys."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from marina.serving.envoy.route_state import ModelRouteState, VersionRouteState
from marina.serving.reconciler.status import Peers
from tests.serve.support.bundle import eventually
from tests.serve.support.keyed_envoy import KeyedEnvoy, keyed_envoy
from tests.support.certificates import Authority, Pair

pytestmark = pytest.mark.serve

FORGED = {"x-marina-experiment": "digits"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "ca")


@pytest.fixture(scope="module")
def back(authority, tmp_path_factory) -> Iterator[KeyedEnvoy]:
    """The node that another one relays to."""
    with node(tmp_path_factory.mktemp("b"), authority, authority.issue("back")) as started:
        yield started


@contextmanager
def node(root, authority: Authority, pair: Pair, **more) -> Iterator[KeyedEnvoy]:
    with keyed_envoy(root, cert=pair.cert, key=pair.key, ca=authority.file, **more) as started:
        yield started


@contextmanager
def front(root, authority: Authority, pair: Pair, back: KeyedEnvoy) -> Iterator[KeyedEnvoy]:
    """A node that serves nothing itself: what it answers comes from the other one."""
    peer = f"127.0.0.1:{back.settings.port}"
    states = {
        "a": ModelRouteState(
            "1.0", {"1.0": VersionRouteState(5, (503, "closed"), has_peers=True, ready_peers=frozenset({peer}))}
        )
    }
    with node(root, authority, pair, nodes=peer, route_states=states) as started:
        yield started


@contextmanager
def client(back: KeyedEnvoy, authority: Authority, pair: Pair | None) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=authority.file)
    if pair:
        context.load_cert_chain(pair.cert, pair.key)
    with httpx.Client(base_url=back.url, verify=context, trust_env=False) as made:
        yield made


def test_a_node_relays_what_a_key_opens_and_the_key_stays_there(authority, back, tmp_path):
    with front(tmp_path, authority, authority.issue("front"), back) as node:
        key = node.key("predict")
        node.wait_until_known(key)
        relayed = lambda: (it := node.send("POST", "/predictions/a", key)).status_code == 200 and it  # noqa: E731
        response = eventually(relayed, "the other node responds", 15)
        assert back.envoy.upstream.counts["a/1.0"] == 1
        assert "a/1.0" not in node.envoy.upstream.counts
        assert node.signing.token(key) not in response.text
        assert node.send("POST", "/predictions/a").status_code == 401
        # The other node does not know the key: its registry is its own.
        assert back.send("POST", "/predictions/a", key).status_code == 401


def test_a_node_with_a_certificate_of_another_authority_is_no_node(authority, back, tmp_path):
    stranger = Authority(tmp_path / "ca", "stranger").issue("front")
    with client(back, authority, stranger) as http, pytest.raises((httpx.TransportError, ssl.SSLError)):
        http.post("/predictions/a", content=b"{}")


def test_a_front_sends_nothing_to_a_server_that_its_authority_did_not_sign(authority, back, tmp_path):
    other = Authority(tmp_path / "ca", "other")
    before = dict(back.envoy.upstream.counts)
    with front(tmp_path / "f", other, other.issue("front"), back) as node:
        key = node.key("predict")
        node.wait_until_known(key)
        assert node.send("POST", "/predictions/a", key).status_code == 503
    assert back.envoy.upstream.counts == before


def test_only_a_certificate_opens_a_node_without_a_key(authority, back):
    with client(back, authority, authority.issue("front")) as http:
        assert http.post("/predictions/a", content=b"{}").status_code == 200
        caller = http.get("/ready").json()["headers"]["x-marina-caller"]
        assert caller == "key=;name=;node=CN=front"
    with client(back, authority, None) as http:
        assert http.post("/predictions/a", content=b"{}").status_code == 401


def test_only_a_node_may_hide_the_variant(authority, back):
    key = back.key("predict")
    back.wait_until_known(key)
    shown = back.send("POST", "/predictions/a/1.0", key, **FORGED)
    assert shown.headers["x-variant"] == "a@1.0"
    with client(back, authority, authority.issue("front")) as http:
        relayed = http.post("/predictions/a/1.0", content=b"{}", headers=FORGED)
    assert (relayed.status_code, "x-variant" in relayed.headers) == (200, False)


def test_nodes_poll_each_other_by_certificate(authority, back):
    pair = authority.issue("front")
    settings = back.settings.model_copy(
        update={"cert": pair.cert, "key": pair.key, "nodes": f"127.0.0.1:{back.settings.port}"}
    )

    async def poll() -> httpx.Response:
        peers = Peers(settings)
        try:
            return await peers._http.get(f"https://127.0.0.1:{back.settings.port}/ready")
        finally:
            await peers._http.aclose()

    assert asyncio.run(poll()).json()["headers"]["x-marina-caller"].endswith("node=CN=front")
