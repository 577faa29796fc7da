"""Forged feedback on a running bundle: it is refused, nothing of it is stored, and nobody can read another's."""

import time
import uuid

import httpx
import pytest
from sqlalchemy import func, select

from marina.experiments.database import Feedback, connect, read_session
from tests.serve.support.bundle import Bundle, eventually

pytestmark = pytest.mark.serve

TOKEN = "x-feedback-token"


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    """Serves the experiment `digits`, whose rewards are from 0 to 1."""
    for name in ("alpha", "beta"):
        instance.pack(name, batch=8)
    instance.do("serve")
    variants = [{"model": "alpha", "version": "1.0", "weight": 50}, {"model": "beta", "version": "1.0", "weight": 50}]
    for name in ("digits", "others"):
        experiment = {"name": name, "variants": variants, "control": "alpha@1.0"}
        assert instance.experiments("POST", experiment=experiment).status_code == 201
    return instance


def predict(bundle: Bundle, request_id: str, experiment: str = "digits", **headers: str) -> str:
    """Send a request; return the token of its response."""
    sent = {"x-request-id": request_id, "x-user-id": request_id, **headers}
    response = bundle.http.post(f"/predictions/{experiment}", json={}, headers=sent)
    assert response.status_code == 200
    return response.headers[TOKEN]


def give(bundle: Bundle, request_id: str, token: str | None, **value) -> httpx.Response:
    headers = {} if token is None else {TOKEN: token}
    return bundle.http.post("/v1/feedback", json={"request_id": request_id, **value}, headers=headers)


def stored(bundle: Bundle) -> int:
    with read_session(connect(bundle.settings.database_url)) as session:
        return session.scalar(select(func.count()).select_from(Feedback)) or 0


def test_feedback_with_the_token_is_accepted_at_once_and_once(bundle: Bundle):
    """Before the request is in the log, too; the same feedback may be sent again, another is a conflict."""
    token = predict(bundle, "ada-1")
    assert give(bundle, "ada-1", token, label="7").status_code in (200, 202)
    eventually(lambda: give(bundle, "ada-1", token, label="7").status_code == 200, "it counts")
    assert give(bundle, "ada-1", token, label="8").status_code == 409
    assert give(bundle, "ada-1", token, reward=1).status_code == 409
    read = bundle.http.get("/v1/feedback/ada-1", headers={TOKEN: token})
    assert (read.status_code, read.json()["reward"]) == (200, 1.0)


def test_forged_early_and_foreign_feedback_is_refused(bundle: Bundle):
    before = stored(bundle)
    assert give(bundle, "bob-1", None, reward=1).status_code == 400
    assert give(bundle, "bob-1", f"digits.{uuid.uuid4()}.{time.time():.0f}.{'0' * 64}", reward=1).status_code == 403
    mine, yours = predict(bundle, "eve-1"), predict(bundle, "bob-1")
    assert give(bundle, "bob-1", mine, reward=1).status_code == 403
    experiment, exposure, seconds, signature = yours.rsplit(".", 3)
    for forged in (
        f"others.{exposure}.{seconds}.{signature}",
        f"{experiment}.{mine.rsplit('.', 3)[1]}.{seconds}.{signature}",
        f"{experiment}.{exposure}.{int(seconds) + 86_400}.{signature}",
        f"{experiment}.{exposure}.{seconds}.{signature[:-1]}",
        f"{experiment}.{exposure}.{seconds}.",
        yours[::-1],
    ):
        assert give(bundle, "bob-1", forged, reward=1).status_code == 403
    assert bundle.http.get("/v1/feedback/ada-1").status_code == 400
    assert bundle.http.get("/v1/feedback/ada-1", headers={TOKEN: mine}).status_code == 403
    assert stored(bundle) == before


def test_rewards_outside_the_bounds_are_refused_by_name(bundle: Bundle):
    before, token = stored(bundle), predict(bundle, "eve-2")
    for reward in (1e9, -1e9, 1.0001, -0.0001):
        response = give(bundle, "eve-2", token, reward=reward)
        assert (response.status_code, response.json()["field"]) == (400, "reward")
        assert "[0, 1]" in response.json()["message"]
    assert stored(bundle) == before


def test_a_reused_request_id_claims_no_other_request(bundle: Bundle):
    """Eve repeats the id of a request by Bob: hers is another request, and does not replace it."""
    bobs = predict(bundle, "bob-2")
    eves = predict(bundle, "bob-2", **{"x-user-id": "eve", "x-marina-exposure": bobs.rsplit(".", 3)[1]})
    assert give(bundle, "bob-2", eves, reward=0).status_code in (200, 202)
    assert give(bundle, "bob-2", bobs, reward=1).status_code in (200, 202)
    read = [bundle.http.get("/v1/feedback/bob-2", headers={TOKEN: token}) for token in (bobs, eves)]
    assert [response.json()["reward"] for response in read] == [1, 0]


def test_only_requests_of_the_split_get_a_token(bundle: Bundle):
    forged = {TOKEN: "mine", "x-marina-exposure": "mine", "x-marina-experiment": "digits"}
    for path, chosen in (("alpha", {}), ("alpha/1.0", {}), ("digits", {"x-variant": "beta@1.0"})):
        response = bundle.http.post(f"/predictions/{path}", json={}, headers={**forged, **chosen})
        assert (response.status_code, response.headers.get(TOKEN)) == (200, None)


def test_a_flood_of_made_up_ids_stores_nothing(bundle: Bundle):
    before = stored(bundle)
    token = f"digits.{uuid.uuid4()}.{time.time():.0f}.{'a' * 64}"
    statuses = {give(bundle, str(uuid.uuid4()), token, reward=1).status_code for _ in range(300)}
    assert statuses == {403}
    assert stored(bundle) == before


def test_the_key_of_the_tokens_is_the_owner_s_alone(bundle: Bundle):
    key = (bundle.settings.state / "feedback-key").read_text()
    readable = [
        file
        for file in bundle.settings.var.rglob("*")
        if file.is_file() and file.stat().st_mode & 0o077 and key.encode() in file.read_bytes()
    ]
    assert readable == []
