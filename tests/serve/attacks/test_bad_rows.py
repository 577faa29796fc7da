"""Bodies that made a handler raise, and with it fail everybody in its batch: each is now an error of its own."""

import pytest

from tests.serve.support.attack import attack
from tests.serve.support.bundle import Bundle
from tests.support.bombs import broken_exif, claiming
from tests.support.samples import picture

pytestmark = pytest.mark.serve

JSON = {"content-type": "application/json"}
DEEP = {"content": b'{"features": ' + b"[" * 1_100 + b"]" * 1_100 + b"}", "headers": JSON}
IMAGES = [
    DEEP,
    {"content": '{"image": "é"}'.encode(), "headers": JSON},
    {"content": rb'{"image": "\ud800"}', "headers": JSON},
    {"content": claiming(60_000, 60_000, "JPEG")},
    {"content": claiming(60_000, 60_000, "PNG")},
    {"content": broken_exif()},
    {"content": picture(kind="WEBP")[:-9] + b"\xff" * 9},
    {"content": picture(kind="JPEG")[:300]},
]
TEXTS = [
    DEEP,
    {"content": rb'{"text": "\ud800"}', "headers": JSON},
    {"content": rb'{"\udfff": 1, "text": 1}', "headers": JSON},
    {"content": b"\xff\xfe\xfd", "headers": {"content-type": "text/plain"}},
]
TABLES = [
    DEEP,
    {"content": rb'{"features": {"\ud800": 1}}', "headers": JSON},
    {"content": b'{"features": [' + b"9" * 5_000 + b"]}", "headers": JSON},
    {"content": b'{"features": [1e999]}', "headers": JSON},
]
INNOCENT = {
    "lenet": {"content": picture()},
    "text_lstm": {"json": {"text": "房间很好"}},
    "housing_mlp": {"json": {"features": [0.1] * 13}},
}
ATTACKERS = {"lenet": IMAGES, "text_lstm": TEXTS, "housing_mlp": TABLES}


@pytest.mark.parametrize("verb", ["predictions", "explanations"])
@pytest.mark.parametrize("name", ATTACKERS)
def test_each_bad_body_is_a_400_with_its_field(starters: Bundle, name, verb):
    for sent in ATTACKERS[name]:
        response = starters.http.post(f"/{verb}/{name}", **sent)
        if sent["content"] != broken_exif() or response.status_code != 200:
            assert response.status_code == 400, (sent["content"][:40], response.text)
            assert response.json()["field"]


@pytest.mark.parametrize("name", ATTACKERS)
def test_innocents_in_the_same_batches_do_not_fail(starters: Bundle, name):
    outcome = attack(starters, f"/predictions/{name}", INNOCENT[name], ATTACKERS[name], 80)
    assert outcome.innocents == {200: 80}
    assert outcome.attackers.keys() <= {200, 400}
    assert len(outcome.refusals) >= len(ATTACKERS[name]) - 1


@pytest.mark.long
@pytest.mark.parametrize("name", ATTACKERS)
def test_innocents_beside_attackers_for_long(starters: Bundle, name):
    alone = attack(starters, f"/predictions/{name}", INNOCENT[name], [], 2_000)
    beside = attack(starters, f"/predictions/{name}", INNOCENT[name], ATTACKERS[name], 2_000)
    print(
        f"{name}: attackers {dict(beside.attackers)}, innocents {dict(beside.innocents)}; "
        f"p99 {alone.p99 * 1e3:.0f} -> {beside.p99 * 1e3:.0f} ms, ratio {beside.p99 / alone.p99:.2f}"
    )
    assert beside.innocents == {200: 2_000}
