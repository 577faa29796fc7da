"""/v1/feedback: responses, and the durability of acknowledged feedback."""

import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event

import httpx
import pytest
from sqlalchemy import create_engine, select

import marina.api.feedback_routes
from marina.experiments.database import Feedback, read_session
from marina.experiments.feedback import FEEDBACK_SECONDS, LOG_WAIT_SECONDS
from tests.api.client import api, call, server
from tests.experiments.log_lines import NOW, line


def test_each_result_has_its_http_status(engine, log, monkeypatch):
    monkeypatch.setattr(marina.api.feedback_routes.time, "time", lambda: NOW)
    log(line("a", {"label": "7"}), line("none"), line("old", time=NOW - FEEDBACK_SECONDS - 1))
    app = api(engine)

    def post(request_id: str, **value) -> tuple[int, str | None]:
        response = call(app, "POST", "/v1/feedback", json={"request_id": request_id, **value})
        return response.status_code, response.json().get("field")

    def get(request_id: str) -> httpx.Response:
        return call(app, "GET", f"/v1/feedback/{request_id}")

    assert post("a", label="7") == post("a", label="7", reward=None) == (200, None)
    assert post("a", label="8") == (409, "label")
    assert post("new", reward=1) == (202, None)
    assert post("none", label="7") == (400, "label")
    assert post("old", reward=0) == (410, "request_id")
    assert get("a").json() == {"request_id": "a", "status": "accepted", "reward": 1.0, "label": "7"}
    assert get("new").status_code == 202
    assert get("never").json() == {
        "code": 404,
        "type": "NotFoundException",
        "message": "never: no request to an experiment has this id",
        "field": "request_id",
    }
    monkeypatch.setattr(marina.api.feedback_routes.time, "time", lambda: NOW + LOG_WAIT_SECONDS + 1)
    assert post("new", reward=1) == (404, "request_id")


def test_without_a_database_feedback_is_a_503():
    response = call(api(None), "POST", "/v1/feedback", json={"request_id": "a", "reward": 1})
    assert (response.status_code, response.json()["type"]) == (503, "ServiceUnavailableException")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", "body"),
        ("[]", "body"),
        ("", "body"),
        ('{"reward": 1}', "request_id"),
        ('{"request_id": "a"}', "reward"),
        ('{"request_id": "a", "reward": 1, "label": "7"}', "label"),
        ('{"request_id": "a", "reward": 1, "why": "so"}', "why"),
        ('{"request_id": "a", "reward": "1"}', "reward"),
        ('{"request_id": "a", "reward": true}', "reward"),
        ('{"request_id": "a", "reward": NaN}', "reward"),
        ('{"request_id": "a", "reward": -Infinity}', "reward"),
        ('{"request_id": "a", "reward": 1e999}', "reward"),
        ('{"request_id": "a", "reward": 1%s}' % ("0" * 400), "reward"),
        ('{"request_id": "a", "label": 7}', "label"),
        ('{"request_id": "a", "label": ""}', "label"),
        ('{"request_id": "a", "label": "\\u0000"}', "label"),
        ('{"request_id": "a", "label": "\\ud800"}', "label"),
        ('{"request_id": "a", "label": "%s"}' % ("7" * 257), "label"),
        ('{"request_id": 7, "reward": 1}', "request_id"),
        ('{"request_id": "", "reward": 1}', "request_id"),
        ('{"request_id": "a b", "reward": 1}', "request_id"),
        ('{"request_id": "%s", "reward": 1}' % ("a" * 129), "request_id"),
    ],
)
def test_invalid_feedback_is_refused_by_its_field(body, field):
    never_asked = create_engine("sqlite://")
    response = call(
        api(never_asked), "POST", "/v1/feedback", content=body, headers={"content-type": "application/json"}
    )
    assert (response.status_code, response.json()["type"]) == (400, "BadRequestException")
    assert response.json()["field"] == field
    assert response.json()["message"]


def test_an_unavailable_database_is_a_503():
    app = api(create_engine("postgresql://nobody@127.0.0.1:1/none"))
    response = call(app, "POST", "/v1/feedback", json={"request_id": "a", "reward": 1})
    assert (response.status_code, response.json()["type"]) == (503, "ServiceUnavailableException")


def test_sigkill_loses_no_acknowledged_feedback(engine, url, log):
    """Four clients send 1,000 rewards, and retry those not acknowledged, while the server is killed repeatedly."""
    rewards = {f"{number:04}": random.random() for number in range(1_000)}
    log(*(line(request_id, time=time.time()) for request_id in rewards))
    with socket.create_server(("127.0.0.1", 0)) as result:
        port = result.getsockname()[1]
    acknowledged: dict[str, float] = {}

    def client(request_ids: list[str], enough: int, stop: Event) -> None:
        with httpx.Client(trust_env=False) as http, suppress(httpx.TransportError):
            for request_id in request_ids:
                body = {"request_id": request_id, "reward": rewards[request_id]}
                response = http.post(f"http://127.0.0.1:{port}/v1/feedback", json=body)
                if response.status_code == 200:
                    acknowledged[request_id] = response.json()["reward"]
                if response.status_code != 200 or len(acknowledged) >= enough:
                    stop.set()

    for enough in (1, 300, 600, 1_000):
        with server(url, port) as process, ThreadPoolExecutor(4) as pool:
            missing, stop = sorted(rewards.keys() - acknowledged.keys()), Event()
            for first in range(4):
                pool.submit(client, missing[first::4], enough, stop)
            assert stop.wait(60)
            process.kill()
        with read_session(engine) as session:
            stored = {row.request_id: row.reward for row in session.scalars(select(Feedback))}
        assert len(acknowledged) >= enough
        assert acknowledged.items() <= stored.items()
    assert acknowledged == stored == rewards
