"""Files that are small to send and expensive to decode: refused with a limit, and no worker is held by them."""

import pytest

from tests.serve.support.attack import attack
from tests.serve.support.bundle import Bundle
from tests.support.bombs import large_jpeg, large_png, many_scans
from tests.support.samples import picture

pytestmark = pytest.mark.serve

INNOCENT = {"content": picture()}


def pids(bundle: Bundle) -> list[int]:
    return bundle.worker_pids("lenet") + bundle.worker_pids("efficientnet_lite0")


def test_a_jpeg_of_5000_scans_is_refused_at_once(starters: Bundle):
    before = pids(starters)
    for name in ("lenet", "efficientnet_lite0"):
        for verb in ("predictions", "explanations"):
            response = starters.http.put(f"/{verb}/{name}", content=many_scans(), timeout=15)
            assert (response.status_code, response.json()["field"]) == (400, "image")
            assert "64 scans" in response.json()["message"]
    assert pids(starters) == before


@pytest.mark.parametrize("bomb", [large_png, large_jpeg])
def test_one_image_of_40_megapixels_is_answered(starters: Bundle, bomb):
    for name in ("lenet", "efficientnet_lite0"):
        response = starters.http.put(f"/predictions/{name}", content=bomb())
        assert response.status_code == 200, response.text


def test_many_large_images_at_once_get_a_429_and_innocents_nothing_but_200(starters: Bundle):
    before = pids(starters)
    outcome = attack(starters, "/predictions/lenet", INNOCENT, [{"content": large_png()}], 24, workers=12)
    assert outcome.innocents == {200: 24}
    assert outcome.attackers.keys() <= {200, 429}
    assert outcome.attackers[200]
    for refusal in outcome.refusals:
        assert (refusal["code"], refusal["type"], refusal["field"]) == (429, "TooManyRequests", "image")
        assert "send it again" in refusal["message"]
    assert pids(starters) == before


@pytest.mark.long
@pytest.mark.parametrize("bomb", [large_png, large_jpeg, many_scans])
def test_innocents_beside_bombs_for_long(starters: Bundle, bomb):
    before = pids(starters)
    alone = attack(starters, "/predictions/lenet", INNOCENT, [], 1_000)
    beside = attack(starters, "/predictions/lenet", INNOCENT, [{"content": bomb()}], 1_000, workers=4)
    print(
        f"{bomb.__name__}: attackers {dict(beside.attackers)}, innocents {dict(beside.innocents)}; "
        f"p99 {alone.p99 * 1e3:.0f} -> {beside.p99 * 1e3:.0f} ms, ratio {beside.p99 / alone.p99:.2f}"
    )
    assert beside.innocents == {200: 1_000}
    assert pids(starters) == before
