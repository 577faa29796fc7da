"""Content types on the routes: hidden from TorchServe for archives with a card, no forms for foreign ones."""

import pytest

from marina.serving.envoy import routes
from marina.serving.envoy.content_types import MAX_MULTIPART_BYTES, MAX_URLENCODED_BYTES
from marina.serving.envoy.route_state import ModelRouteState, VersionRouteState


def model_routes(**state) -> list[dict]:
    return routes.model_routes("m", ModelRouteState("1.0", {"1.0": VersionRouteState(20, **state)}))


def added(route: dict) -> dict[str, str]:
    return {each["header"]["key"]: each["header"]["value"] for each in route.get("request_headers_to_add", [])}


def test_every_path_of_an_archive_with_a_card_hides_the_content_type():
    found = model_routes()
    assert [route["match"]["path"] for route in found] == [
        f"/{verb}/m{version}" for verb in ("predictions", "explanations") for version in ("", "/1.0")
    ]
    for route in found:
        assert added(route) == {
            "x-marina-content-type": "%REQ(X-MARINA-CONTENT-TYPE?CONTENT-TYPE)%",
            "content-type": "application/octet-stream",
        }


def test_a_foreign_archive_gets_no_form():
    for path in ("/predictions/m", "/predictions/m/1.0", "/explanations/m", "/explanations/m/1.0"):
        *refusals, route = [one for one in model_routes(has_card=False) if one["match"]["path"] == path]
        assert added(route) == {}
        assert [one["match"]["headers"][0]["string_match"]["contains"] for one in refusals] == [
            "form-data",
            "form-urlencoded",
        ]
        for one in refusals:
            assert one["match"]["headers"][0]["string_match"]["ignore_case"] is True
            assert one["direct_response"]["status"] == 415
            assert "acceptForms" in one["direct_response"]["body"]["inline_string"]


def test_a_foreign_archive_whose_owner_asks_gets_small_forms():
    found = [
        one for one in model_routes(has_card=False, accepts_forms=True) if one["match"]["path"] == "/predictions/m"
    ]
    kinds = ["response" if "direct_response" in route else "forward" for route in found]
    assert kinds == ["forward", "response", "forward", "response", "forward"]
    limits = [route["match"]["headers"][1]["range_match"]["end"] - 1 for route in (found[0], found[2])]
    assert limits == [MAX_MULTIPART_BYTES, MAX_URLENCODED_BYTES]
    assert "content-length" in found[1]["direct_response"]["body"]["inline_string"]


@pytest.mark.parametrize("up", [True, False])
def test_no_other_path_to_torchserve_takes_forms(up):
    found = routes.foreign_routes(up, 60)
    for route in found:
        if route.get("route"):
            guards = [
                one
                for one in found
                if "headers" in one["match"] and one.get("direct_response", {}).get("status") == 415
            ]
            same = [
                one
                for one in guards
                if one["match"].items() >= {k: v for k, v in route["match"].items() if k != "headers"}.items()
            ]
            assert len(same) == 2, route["match"]
            assert all(found.index(one) < found.index(route) for one in same)
