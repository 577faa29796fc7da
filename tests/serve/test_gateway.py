"""Envoy accepts its configuration, and its own responses have the format of TorchServe's."""

import json
import ssl

import httpx
import pytest

from marina.errors import MarinaError
from marina.serving.envoy import gateway
from marina.serving.envoy.clusters import stat_name
from marina.serving.envoy.route_state import ModelRouteState, RouteExtension, VersionRouteState
from marina.serving.envoy.routes import route_table
from marina.serving.reconciler import desired_state, model_store
from tests.serve.support.bundle import Bundle
from tests.serve.support.wire import certificate

VERSIONS = {"1.0": VersionRouteState(20), "2.0": VersionRouteState(20, (503, 'two is not ready: "because"'))}


def routes_by_path(table):
    return {route["match"].get("path"): route for route in table["virtual_hosts"][0]["routes"]}


def test_requests_without_a_version_get_the_default_one_and_say_so_upstream():
    routes = routes_by_path(route_table({"m": ModelRouteState("1.0", VERSIONS)}, True, 60))
    route = routes["/predictions/m"]["route"]
    assert route["prefix_rewrite"] == "/predictions/m/1.0"
    assert route["cluster"] == "m@1.0"
    assert route["timeout"] == "25s"
    assert routes["/explanations/m/2.0"]["direct_response"]["status"] == 503


def test_a_stream_may_take_its_time_but_must_not_fall_silent():
    views = {"m": ModelRouteState("1.0", {"1.0": VersionRouteState(20, streams=True)})}
    route = routes_by_path(route_table(views, True, 60))["/predictions/m"]["route"]
    assert (route["timeout"], route["idle_timeout"]) == ("0s", "25s")


def test_statistics_of_a_version_have_no_dots():
    assert stat_name("resnet18", "1.0") == "resnet18_1_0"


@pytest.mark.parametrize("open_", [True, False])
def test_envoy_accepts_the_configuration_and_refuses_another(instance: Bundle, open_):
    settings = instance.settings
    settings.make_folders()
    instance.pack("m" if open_ else "n")
    with desired_state.change(settings) as desired:
        desired.add(model_store.find(settings, "m" if open_ else "n", None), 1)
    gateway.close(settings, desired_state.load(settings).closed_routes())
    views = {"m": ModelRouteState("1.0", VERSIONS | {"3.0": VersionRouteState(20, streams=True)})}
    gateway.publish(settings, views, "abc" if open_ else None)
    gateway.validate(settings, views if open_ else {})
    broken = RouteExtension(matchers=[{"on_match": "what?"}])
    with pytest.raises(MarinaError, match=r"Envoy would refuse this: .*critical"):
        gateway.validate(settings, views, broken)


def test_before_torchserve_is_up_every_model_is_closed(instance: Bundle):
    settings = instance.settings
    settings.make_folders()
    desired_state.save(settings, desired_state.DesiredState())
    with desired_state.change(settings) as desired:
        desired.models["m"] = desired_state.ModelSpec(
            default="1.0", versions={"1.0": desired_state.VersionSpec(archive="m-1.0.mar")}
        )
    gateway.close(settings, desired_state.load(settings).closed_routes())
    table = json.loads((settings.envoy / "rds.json").read_text())["resources"][0]
    upstream = [route for route in table["virtual_hosts"][0]["routes"] if "route" in route]
    assert {route["route"]["cluster"] for route in upstream} == {"control", "metrics"}


@pytest.mark.serve
def test_https_by_cert_and_key(instance: Bundle, tmp_path):
    instance.pack("beta")
    cert, key = certificate(tmp_path)
    assert "CERT and KEY go together" in instance.run("serve", MARINA_CERT=str(cert)).stderr
    secure = Bundle(instance.settings.model_copy(update={"cert": cert, "key": key}))
    assert f"curl -k https://127.0.0.1:{instance.settings.port}/predictions/beta" in secure.do("serve", "beta")
    with httpx.Client(base_url=secure.settings.url, verify=ssl.create_default_context(cafile=cert)) as client:
        assert client.post("/predictions/beta", json={}).json()["version"] == "1.0"
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{instance.settings.port}/ready")
    secure.do("stop")
