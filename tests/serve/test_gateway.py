"""What Envoy is told is valid, and what it answers by itself has TorchServe's shape."""

import json
import ssl
import subprocess

import httpx
import pytest

from serving import bootstrap, desired, gateway, store
from serving.routes import ModelView, VersionView, route_table, stat_name
from tests.serve.bundle import Bundle
from tests.serve.wire import certificate

VERSIONS = {"1.0": VersionView(20), "2.0": VersionView(20, (503, 'two is not ready: "because"'))}


def routes_by_path(table):
    return {route["match"].get("path"): route for route in table["virtual_hosts"][0]["routes"]}


def test_requests_without_a_version_get_the_default_one_and_say_so_upstream():
    routes = routes_by_path(route_table({"m": ModelView("1.0", VERSIONS)}, True, 60))
    route = routes["/predictions/m"]["route"]
    assert route["prefix_rewrite"] == "/predictions/m/1.0"
    assert route["cluster"] == "m@1.0"
    assert route["timeout"] == "25s"
    assert routes["/explanations/m/2.0"]["direct_response"]["status"] == 503


def test_statistics_of_a_version_have_no_dots():
    assert stat_name("resnet18", "1.0") == "resnet18_1_0"


@pytest.mark.parametrize("open_", [True, False])
def test_envoy_accepts_the_configuration(instance: Bundle, open_, monkeypatch):
    settings = instance.settings
    settings.make_folders()
    instance.pack("m" if open_ else "n")
    desired.save(settings, desired.of(store.chosen(settings, ["all"])))
    gateway.close(settings)
    views = {"m": ModelView("1.0", VERSIONS)}
    gateway.publish(settings, views, "abc" if open_ else None)
    # --mode validate reads neither the routes nor the clusters from their files: put them in line.
    config = bootstrap.bootstrap(settings)
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager.pop("rds")
    table = json.loads((settings.envoy / "rds.json").read_text())["resources"][0]
    manager["route_config"] = {key: value for key, value in table.items() if key != "@type"}
    config.pop("dynamic_resources")
    found = json.loads((settings.envoy / "cds.json").read_text())["resources"]
    config["static_resources"]["clusters"] = [{k: v for k, v in each.items() if k != "@type"} for each in found]
    file = settings.run / "validate.json"
    file.write_text(json.dumps(config))
    result = subprocess.run([gateway.binary(), "--mode", "validate", "-c", file], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


def test_before_torchserve_is_up_every_model_is_closed(instance: Bundle):
    settings = instance.settings
    settings.make_folders()
    desired.save(settings, desired.Desired())
    with desired.change(settings) as wanted:
        wanted.models["m"] = desired.Model(default="1.0", versions={"1.0": desired.Version(archive="m-1.0.mar")})
    gateway.close(settings)
    table = json.loads((settings.envoy / "rds.json").read_text())["resources"][0]
    upstream = [route for route in table["virtual_hosts"][0]["routes"] if "route" in route]
    assert {route["route"]["cluster"] for route in upstream} == {"control", "metrics"}


@pytest.mark.serve
def test_https_by_cert_and_key(instance: Bundle, tmp_path):
    instance.pack("beta")
    cert, key = certificate(tmp_path)
    assert "CERT and KEY go together" in instance.run("start", MARINA_CERT=str(cert)).stderr
    secure = Bundle(instance.settings.model_copy(update={"cert": cert, "key": key}))
    assert f"curl -k https://127.0.0.1:{instance.settings.port}/predictions/beta" in secure.do("start", "beta")
    with httpx.Client(base_url=secure.settings.url, verify=ssl.create_default_context(cafile=cert)) as client:
        assert client.post("/predictions/beta", json={}).json()["version"] == "1.0"
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{instance.settings.port}/ready")
    secure.do("stop")
