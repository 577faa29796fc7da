"""Marina's forked worker and TorchServe's own worker return the same responses."""

import psutil
import pytest

from marina.serving.forkserver import child
from tests.serve.support.bundle import Bundle


@pytest.mark.serve
@pytest.mark.parametrize("fork", ["true", "false"])
def test_both_workers_return_the_same_response(instance: Bundle, fork):
    """Marina's worker runs with the fork server, TorchServe's without it."""
    if not list(instance.settings.store.glob("alpha-*.mar")):
        instance.pack("alpha", batch=4)
    started = instance.run("serve", MARINA_FORK=fork)
    assert started.returncode == 0, started.stdout + started.stderr
    try:
        sent = {
            "content": '{"a":"好"}'.encode(),
            "headers": {"content-type": "application/json", "x-request-id": "mine"},
        }
        response = instance.http.post("/predictions/alpha", **sent).json()
        assert psutil.Process(response["pid"]).name().startswith(child.NAME) == (fork == "true")
        assert {**response, "pid": 0} == {
            "version": "1.0", "length": len(sent["content"]), "pid": 0, "batch": 1, "request_id": "mine",
            "explain": False,
        }  # fmt: skip
        assert instance.http.post("/predictions/alpha", content=b"12345").json()["length"] == 5
        cards = instance.http.get("/v1/models").json()
        assert [model["name"] for model in cards] == ["alpha"]
    finally:
        instance.do("stop")
