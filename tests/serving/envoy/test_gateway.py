"""Watched files for Envoy, and its admin port."""

import asyncio
import json
import subprocess
from pathlib import Path

import httpx
import pytest

from marina.errors import MarinaError
from marina.security import caller
from marina.serving.envoy import bootstrap, clusters, gateway, routes
from marina.serving.envoy.gateway import Gateway
from marina.serving.envoy.route_state import ModelRouteState, RouteExtension, Upstream, VersionRouteState
from marina.serving.reconciler import desired_state

MODELS = {"cat": ModelRouteState("1.0", {"1.0": VersionRouteState(20)})}
SERVED = desired_state.ModelSpec(default="1.0", versions={"1.0": desired_state.VersionSpec(archive="cat-1.0.mar")})


def resources(settings, name: str) -> list[dict]:
    return json.loads((settings.envoy / f"{name}.json").read_text())["resources"]


def test_publish_writes_every_file_with_the_version_that_it_returns(settings):
    extension = RouteExtension(inner=[{"x": 1}], mirrors=["m"], upstreams=[Upstream("u", "u", "cat", "1.0")])
    versions = gateway.publish(settings, MODELS, "secret", extension)
    assert versions.keys() == {"cds", "inner", "rds"}
    for name, version in versions.items():
        content = json.loads((settings.envoy / f"{name}.json").read_text())
        assert content["version_info"] == version
        assert len(version) == 16
    assert resources(settings, "cds") == clusters.clusters(settings, MODELS, extension.upstreams, extension.mirrors)
    assert resources(settings, "rds") == [routes.route_table(MODELS, True, 60, extension, caller.proof(settings))]
    assert resources(settings, "inner") == [routes.inner_table(extension)]
    assignments = clusters.endpoints(settings, MODELS, extension.upstreams)
    assert [resources(settings, "eds-cat@1.0"), resources(settings, "eds-u")] == [[each] for each in assignments]
    assert resources(settings, "sds") == [
        {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": "inference-token",
            "generic_secret": {"secret": {"inline_string": "secret"}},
        }
    ]


def test_without_a_token_torchserve_is_closed_and_the_old_token_stays(settings):
    gateway.publish(settings, MODELS, None)
    assert not (settings.envoy / "sds.json").exists()
    assert resources(settings, "rds") == [routes.route_table(MODELS, False, 60, proof=caller.proof(settings))]
    assert resources(settings, "cds") == clusters.clusters(settings, MODELS, (), ())


def test_an_unchanged_file_is_not_written_again(settings):
    first = gateway.publish(settings, MODELS, "secret")
    before = {file: file.stat().st_ino for file in settings.envoy.iterdir()}
    assert gateway.publish(settings, MODELS, "secret") == first
    assert {file: file.stat().st_ino for file in settings.envoy.iterdir()} == before
    assert gateway.publish(settings, {}, "secret")["rds"] != first["rds"]


def test_closing_responds_for_every_model_and_keeps_a_token(settings):
    desired_state.save(settings, desired_state.DesiredState(models={"cat": SERVED}))
    gateway.close(settings, desired_state.load(settings).closed_routes())
    closed = {
        "cat": ModelRouteState(
            "1.0", {"1.0": VersionRouteState(0, (503, "cat 1.0 is not ready: it is being started, see /ready"))}
        )
    }
    assert resources(settings, "rds") == [routes.route_table(closed, False, 60, proof=caller.proof(settings))]
    assert resources(settings, "sds")[0]["generic_secret"]["secret"]["inline_string"] == "none-yet"
    gateway.publish(settings, MODELS, "secret")
    gateway.close(settings, desired_state.load(settings).closed_routes())
    assert resources(settings, "sds")[0]["generic_secret"]["secret"]["inline_string"] == "secret"


def test_closing_one_of_several_nodes_leaves_the_routes_to_the_others(settings):
    shared = settings.model_copy(update={"nodes": "10.0.0.2:8000"})
    gateway.close(shared, desired_state.load(shared).closed_routes())  # nothing was published yet: as on one node
    assert (settings.envoy / "rds.json").exists()
    state = VersionRouteState(20, has_peers=True, ready_peers=frozenset({"10.0.0.2:8000"}))
    gateway.publish(shared, {"cat": ModelRouteState("1.0", {"1.0": state})}, "secret")
    table = resources(settings, "rds")
    gateway.close(shared, desired_state.load(shared).closed_routes())
    assert resources(settings, "rds") == table
    (assignment,) = resources(settings, "eds-cat@1.0")
    states = [each["health_status"] for each in assignment["endpoints"][0]["lb_endpoints"]]
    assert states == ["UNHEALTHY", "HEALTHY"]


@pytest.fixture
def envoy(monkeypatch):
    """An Envoy that keeps the configuration that it validates."""
    validated: dict = {"code": 0}

    def run(command, **options):
        validated["config"] = json.loads(Path(command[-1]).read_text())
        validated["command"], validated["options"] = command, options
        return subprocess.CompletedProcess(command, validated["code"], "", "  " + "e" * 600)

    monkeypatch.setattr(gateway, "binary", lambda: "/bin/envoy")
    monkeypatch.setattr(gateway.subprocess, "run", run)
    return validated


def test_envoy_validates_the_whole_configuration_in_one_file(settings, envoy):
    extension = RouteExtension(
        inner=[{"x": 1}], mirrors=["m"], upstreams=[Upstream("u", "u", "cat", "1.0", backup=True)]
    )
    gateway.validate(settings, MODELS, extension)
    assert envoy["command"][:-1] == ["/bin/envoy", "--mode", "validate", "-l", "error", "-c"]
    assert envoy["command"][-1].startswith(f"{settings.run}/")
    assert envoy["command"][-1].endswith(".json")
    assert envoy["options"] == {"capture_output": True, "text": True, "check": False}

    def untyped(resource):
        return {key: value for key, value in resource.items() if key != "@type"}

    expected = bootstrap.bootstrap(settings)
    del expected["dynamic_resources"]
    tables = (routes.route_table(MODELS, True, 60, extension), routes.inner_table(extension))
    for listener, table in zip(expected["static_resources"]["listeners"], tables, strict=True):
        del listener["filter_chains"][1:]
        listener.pop("filter_chain_matcher", None)
        manager = listener["filter_chains"][0]["filters"][-1]["typed_config"]
        del manager["rds"]
        manager["route_config"] = untyped(table)
    found = envoy["config"]["static_resources"].pop("clusters")
    assert envoy["config"] == expected
    assignments = {
        each["cluster_name"]: untyped(each) for each in clusters.endpoints(settings, MODELS, extension.upstreams)
    }
    desired = [untyped(each) for each in clusters.clusters(settings, MODELS, extension.upstreams, extension.mirrors)]
    for each in desired:
        if each.pop("eds_cluster_config", None):
            each |= {"type": "STATIC", "load_assignment": assignments[each["name"]]}
    assert found == desired
    assert [each["name"] for each in found] == ["control", "metrics", "torchserve", "m", "cat@1.0", "u"]


def test_a_refused_configuration_is_an_error_with_envoys_message(settings, envoy):
    envoy["code"] = 1
    with pytest.raises(MarinaError) as refused:
        gateway.validate(settings, MODELS)
    assert str(refused.value) == "Envoy would refuse this: " + "e" * 500


STATS = """\
listener_manager.workers_started: 1
cluster_manager.cds.version_text: "c1"
http.public.rds.marina.version_text: "r1"
http.inner.rds.inner.version_text: "i1"
nonsense
"""
VERSIONS = {"cds": "c1", "rds": "r1", "inner": "i1"}


def call(settings, method):
    """Return the result of a Gateway's method."""

    async def use():
        envoy = Gateway(settings)
        try:
            return await method(envoy)
        finally:
            await envoy.close()

    return asyncio.run(use())


@pytest.mark.parametrize(
    ("stats", "applied"),
    [
        (STATS, True),
        (STATS.replace("started: 1", "started: 0"), False),
        *((STATS.replace(f'"{version}"', '"x"'), False) for version in VERSIONS.values()),
        ("", False),
    ],
)
def test_applied_means_every_file_and_that_envoy_listens(settings, network, stats, applied):
    network.handler = lambda request: httpx.Response(200, text=stats)
    assert call(settings, lambda envoy: envoy.applied(VERSIONS)) is applied
    (request,) = network.requests
    assert (request.method, request.url.host, request.url.path) == ("GET", "envoy-admin", "/stats")
    assert request.url.params["filter"] == r"\.(version_text|workers_started)$"
    assert request.extensions["timeout"]["read"] == 5


def test_requests_in_flight_are_summed_over_experiments(settings, network):
    stats = "cluster.cat_1_0.upstream_rq_active: 2\ncluster.cat_1_0__exp.upstream_rq_active: 3\n"
    network.handler = lambda request: httpx.Response(200, text=stats)
    assert call(settings, lambda envoy: envoy.in_flight("cat", "1.0")) == 5
    desired = r"^cluster\.cat_1_0(__[^.]*)?\.upstream_rq_active$"
    assert network.requests[0].url.params["filter"] == desired


def test_an_envoy_that_refuses_is_an_error(settings, network):
    network.handler = lambda request: httpx.Response(500)
    with pytest.raises(httpx.HTTPStatusError):
        call(settings, lambda envoy: envoy.in_flight("cat", "1.0"))


def test_logs_are_opened_again_through_the_admin_interface(settings, network):
    gateway.reopen_logs(settings)
    assert network.lines == ["POST http://envoy-admin/reopen_logs"]
    network.handler = lambda request: httpx.Response(500)
    with pytest.raises(httpx.HTTPStatusError):
        gateway.reopen_logs(settings)
