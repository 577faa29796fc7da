"""Two nodes, one of them in front: killing the TorchServe of either loses no request."""

import os
import signal

import psutil
import pytest

from tests.serve.support.bundle import Bundle, bundle_in, eventually
from tests.serve.support.load import Load, assigned
from tests.serve.test_resilience import pid_of

pytestmark = pytest.mark.serve

USERS = range(60)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory):
    """The front, with an experiment, and its peer; both serve the same store."""
    root = tmp_path_factory.mktemp("n")
    (root / "store").mkdir()
    with bundle_in(root / "peer", root / "store") as peer, bundle_in(root / "front", root / "store") as plain:
        front = Bundle(plain.settings.model_copy(update={"nodes": f"127.0.0.1:{peer.settings.port}"}))
        for name in ("alpha", "beta"):
            front.pack(name, batch=8)
        (peer.settings.var).mkdir(parents=True)
        (peer.settings.var / "keys").symlink_to(front.keys)
        peer.do("serve")
        front.do("serve")
        variants = [
            {"model": "alpha", "version": "1.0", "weight": 50},
            {"model": "beta", "version": "1.0", "weight": 50},
        ]
        body = {"experiment": {"name": "digits", "variants": variants, "control": "alpha@1.0"}}
        assert front.experiments("POST", **body).status_code == 201
        yield front, peer
        front.http.close()


def workers(nodes: tuple[Bundle, Bundle]) -> set[int]:
    return {pid for node in nodes for name in ("alpha", "beta") for pid in node.worker_pids(name)}


def pids(load: Load) -> set[int]:
    return {response.pid for response in load.responses[-100:]}


@pytest.mark.parametrize("victim", ["peer", "front"])
def test_killing_the_torchserve_of_a_node_loses_no_request(nodes, victim):
    front, peer = nodes
    url = f"{front.settings.url}/predictions/digits"
    before = assigned(url, USERS)
    both = {
        *front.worker_pids("alpha"),
        *front.worker_pids("beta"),
        *peer.worker_pids("alpha"),
        *peer.worker_pids("beta"),
    }
    killed = front if victim == "front" else peer
    with Load(url, rate=60, users=len(USERS)) as load:
        eventually(lambda: pids(load) == both, "both nodes respond")
        pid = pid_of(killed, "torchserve")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not psutil.pid_exists(pid), "it is dead")
        load.wait_for(300)
        eventually(killed.is_ready, "it is back", 120)
        now = workers(nodes)
        eventually(lambda: pids(load) == now, "both nodes respond again", 90)
    assert load.failed == []
    assert assigned(url, USERS) == before
