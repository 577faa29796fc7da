"""Feedback that was acknowledged is never lost, whichever process is killed meanwhile."""

import os
import signal
import threading

import httpx
import pytest

from marina.experiments.database import Feedback, connect, read_session
from tests.serve.support.bundle import Bundle, eventually
from tests.serve.support.load import Load
from tests.serve.test_resilience import pid_of

pytestmark = pytest.mark.serve

COUNT = 1000


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    for name in ("alpha", "beta"):
        instance.pack(name, batch=8)
    instance.do("serve")
    variants = [{"model": "alpha", "version": "1.0", "weight": 50}, {"model": "beta", "version": "1.0", "weight": 50}]
    bounds = {"low": 0, "high": COUNT}
    body = {"experiment": {"name": "digits", "variants": variants, "control": "alpha@1.0", "reward": bounds}}
    assert instance.experiments("POST", **body).status_code == 201
    return instance


def exposure(token: str) -> str:
    return token.rsplit(".", 3)[1]


def test_every_acknowledged_feedback_is_stored_once_after_kills(bundle: Bundle):
    with Load(f"{bundle.settings.url}/predictions/digits", rate=150) as load:
        load.wait_for(COUNT)
    tokens = {response.request_id: response.token for response in load.responses if response.request_id}
    ids = list(tokens)[:COUNT]
    assert len(set(ids)) == COUNT
    acknowledged: set[str] = set()

    def send_feedback() -> None:
        with httpx.Client(base_url=bundle.settings.url, timeout=30, trust_env=False) as client:
            for number, request_id in enumerate(ids):
                while request_id not in acknowledged:
                    try:
                        body = {"request_id": request_id, "reward": number}
                        token = {"x-feedback-token": tokens[request_id]}
                        response = client.post("/v1/feedback", json=body, headers=token)
                    except httpx.TransportError:
                        continue
                    assert response.status_code in (200, 202, 503), response.text
                    if response.status_code != 503:
                        acknowledged.add(request_id)

    sender = threading.Thread(target=send_feedback)
    sender.start()
    for count, program in ((200, "control"), (500, "torchserve"), (800, "control")):
        eventually(lambda count=count: len(acknowledged) > count, f"{count} are acknowledged")
        os.kill(pid_of(bundle, program), signal.SIGKILL)
    sender.join()
    assert len(acknowledged) == COUNT

    def stored() -> dict[str, tuple[float | None, str]]:
        with read_session(connect(bundle.settings.database_url)) as session:
            return {row.id: (row.reward, row.status) for row in session.query(Feedback)}

    eventually(
        lambda: all(status == "accepted" for _, status in stored().values()),
        "all feedback is matched with its request",
        90,
    )
    assert stored() == {exposure(tokens[name]): (float(number), "accepted") for number, name in enumerate(ids)}
