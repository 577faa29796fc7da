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
from marina.experiments.feedback import LOG_WAIT_SECONDS
from marina.experiments.feedback_token import FEEDBACK_SECONDS, signing_key
from marina.experiments.spec import RewardBounds
from tests.api.client import api, call, server, token_of
from tests.experiments.log_lines import NOW, line
from tests.experiments.rows import declare

WRONG_TOKEN = {"x-feedback-token": "wrong"}


def test_each_result_has_its_http_status(engine, log, monkeypatch):
    monkeypatch.setattr(marina.api.feedback_routes.time, "time", lambda: NOW)
    log(line("a", {"label": "7"}), line("none"))
    app, key = api(engine), signing_key(engine, NOW)
    declare(engine, RewardBounds())
    issued = {"old": NOW - FEEDBACK_SECONDS - 1}

    def token(request_id: str) -> dict[str, str]:
        return token_of(key, request_id, issued.get(request_id, NOW))

    def post(request_id: str, **value) -> tuple[int, str | None]:
        body = {"request_id": request_id, **value}
        response = call(app, "POST", "/v1/feedback", json=body, headers=token(request_id))
        return response.status_code, response.json().get("field")

    def get(request_id: str) -> httpx.Response:
        return call(app, "GET", f"/v1/feedback/{request_id}", headers=token(request_id))

    assert post("a", label="7") == post("a", label="7", reward=None) == (200, None)
    assert post("a", label="8") == (409, "label")
    assert post("new", reward=1) == (202, None)
    assert post("none", label="7") == (400, "label")
    assert post("old", reward=0) == (410, "request_id")
    assert post("none", reward=1.5) == (400, "reward")
    assert get("a").json() == {"request_id": "a", "status": "accepted", "reward": 1.0, "label": "7"}
    assert get("new").status_code == 202
    assert get("never").json() == {
        "code": 404,
        "type": "NotFoundException",
        "message": "never: no feedback on this request is stored, or the request is not in the log",
        "field": "request_id",
    }
    monkeypatch.setattr(marina.api.feedback_routes.time, "time", lambda: NOW + LOG_WAIT_SECONDS + 1)
    assert post("new", reward=1) == (404, "request_id")


@pytest.mark.parametrize(("headers", "status"), [({}, 400), (WRONG_TOKEN, 403), (token_of("9" * 64, "a", NOW), 403)])
def test_without_the_response_s_token_nothing_is_stored_or_read(engine, log, headers, status):
    log(line("a"))
    signing_key(engine, NOW)
    app = api(engine)
    given = call(app, "POST", "/v1/feedback", json={"request_id": "a", "reward": 1}, headers=headers)
    read = call(app, "GET", "/v1/feedback/a", headers=headers)
    assert [(it.status_code, it.json()["field"]) for it in (given, read)] == [(status, "x-feedback-token")] * 2
    with read_session(engine) as session:
        assert session.scalars(select(Feedback)).all() == []


def test_out_of_bounds_names_the_bounds(engine):
    declare(engine, RewardBounds(low=-2, high=0.5))
    headers = token_of(signing_key(engine, time.time()), "a", time.time())
    response = call(api(engine), "POST", "/v1/feedback", json={"request_id": "a", "reward": 1}, headers=headers)
    assert response.json()["message"] == "a: reward 1.0 is not within the experiment's [-2, 0.5]"


def test_without_a_database_feedback_is_a_503():
    body = {"request_id": "a", "reward": 1}
    response = call(api(None), "POST", "/v1/feedback", json=body, headers=WRONG_TOKEN)
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
    headers = {"content-type": "application/json", **WRONG_TOKEN}
    response = call(api(never_asked), "POST", "/v1/feedback", content=body, headers=headers)
    assert (response.status_code, response.json()["type"]) == (400, "BadRequestException")
    assert response.json()["field"] == field
    assert response.json()["message"]


def test_an_unavailable_database_is_a_503():
    app = api(create_engine("postgresql://nobody@127.0.0.1:1/none"))
    body = {"request_id": "a", "reward": 1}
    response = call(app, "POST", "/v1/feedback", json=body, headers=WRONG_TOKEN)
    assert (response.status_code, response.json()["type"]) == (503, "ServiceUnavailableException")


def test_sigkill_loses_no_acknowledged_feedback(engine, url, log):
    """Four clients send 1,000 rewards, and retry those not acknowledged, while the server is killed repeatedly."""
    rewards = {f"{number:04}": random.random() for number in range(1_000)}
    log(*(line(request_id, time=time.time()) for request_id in rewards))
    key = signing_key(engine, time.time())
    with socket.create_server(("127.0.0.1", 0)) as result:
        port = result.getsockname()[1]
    acknowledged: dict[str, float] = {}

    def client(request_ids: list[str], enough: int, stop: Event) -> None:
        with httpx.Client(trust_env=False) as http, suppress(httpx.TransportError):
            for request_id in request_ids:
                body = {"request_id": request_id, "reward": rewards[request_id]}
                token = token_of(key, request_id, time.time())
                response = http.post(f"http://127.0.0.1:{port}/v1/feedback", json=body, headers=token)
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
            stored = {row.id: row.reward for row in session.scalars(select(Feedback))}
        assert len(acknowledged) >= enough
        assert acknowledged.items() <= stored.items()
    assert acknowledged == stored == rewards
