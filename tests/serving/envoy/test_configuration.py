"""Envoy's whole configuration: bootstrap, clusters, endpoints and routes."""

import json
import resource

import pytest

from marina.serving.envoy import bootstrap, clusters, limits, routes
from marina.serving.envoy.route_state import ModelRouteState, RouteExtension, Upstream, VersionRouteState
from marina.settings import ROOT, Settings
from tests.serving.recorded_json import assert_recorded

CLOSED = (503, "it is closed")
MODELS = {
    "cat": ModelRouteState("1.0", {"1.0": VersionRouteState(20), "2.0-a:b": VersionRouteState(30, CLOSED)}),
    "büro": ModelRouteState("1.0", {"1.0": VersionRouteState(2.5, streams=True, hold=True)}),
}
PEERS = "10.0.0.2:8000,node-3:8001"
SHARED = {
    "cat": ModelRouteState(
        "1.0",
        {
            "1.0": VersionRouteState(20, has_peers=True, ready_peers=frozenset({"10.0.0.2:8000"})),
            "2.0": VersionRouteState(20, CLOSED, has_peers=True, ready_peers=frozenset({"node-3:8001"})),
            "3.0": VersionRouteState(20, (404, "it was retired"), has_peers=True),
        },
    )
}
MORE = [
    Upstream("cat@1.0/exp", "cat_1_0__exp", "cat", "1.0", backup=True),
    Upstream("dog@9.9", "dog_9_9", "dog", "9.9"),
]
MIRRORS = ["mirror.exp@1"]
EXTENSION = RouteExtension(matchers=[{"a": 1}], upstreams=MORE, mirrors=MIRRORS, inner=[{"b": 2}])


@pytest.fixture
def places(settings) -> dict[str, str]:
    # The sockets lie elsewhere if the path of the temporary folder is long.
    return {str(settings.sockets): "<var>/tmp", str(settings.var): "<var>", str(ROOT): "<root>"}


@pytest.fixture
def shared(settings) -> Settings:
    return settings.model_copy(update={"nodes": PEERS})


def test_the_bootstrap(settings, places, monkeypatch):
    monkeypatch.setattr(limits, "CLIENT_GROUPS", 2)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 30_000))
    config = bootstrap.bootstrap(settings.model_copy(update={"host": "0.0.0.0", "port": 18000, "insecure": True}))
    first, second = config["static_resources"]["listeners"][0]["filter_chains"]
    assert second["filters"][1] is first["filters"][1]
    manager = second["filters"].pop()["typed_config"]
    filters = {each["name"]: each["typed_config"] for each in manager["http_filters"]}
    script = filters["envoy.filters.http.lua"]["default_source_code"]
    signing = filters["marina.feedback_token"]["source_codes"]["marina.feedback_token"]
    for each, file in ((script, "request.lua"), (signing, "feedback_token.lua")):
        assert each.pop("inline_string").endswith((ROOT / "marina" / "serving" / "envoy" / file).read_text())
    assert_recorded("bootstrap", config, places)


def test_https(settings, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    secure = settings.model_copy(update={"cert": cert, "key": key})
    public, inner = bootstrap.bootstrap(secure)["static_resources"]["listeners"]
    assert "transport_socket" not in inner["filter_chains"][0]
    assert_recorded("https", public["filter_chains"][0]["transport_socket"], {str(tmp_path): "<folder>"})


def test_the_bootstrap_is_written_to_the_file_that_envoy_reads(settings):
    bootstrap.render(settings)
    assert bootstrap.bootstrap_file(settings) == settings.var / "run" / "envoy.json"
    assert json.loads(bootstrap.bootstrap_file(settings).read_text()) == bootstrap.bootstrap(settings)


def test_the_clusters(settings, places):
    assert_recorded("clusters", clusters.clusters(settings, MODELS, MORE, MIRRORS), places)


def test_the_clusters_of_several_nodes(shared, places):
    assert_recorded("clusters_of_nodes", clusters.clusters(shared, SHARED, MORE, []), places)


def test_the_endpoints(settings, places):
    assert_recorded("endpoints", clusters.endpoints(settings, MODELS, MORE), places)


def test_the_endpoints_of_several_nodes(shared, places):
    assert_recorded("endpoints_of_nodes", clusters.endpoints(shared, SHARED, MORE), places)


def test_a_node_that_closes_takes_itself_out_and_no_other(shared):
    before, *_ = clusters.endpoints(shared, SHARED, MORE)
    after, *_ = clusters.endpoints(shared, SHARED, MORE)
    assert clusters.closed_here(shared, after) is after
    here, *others = after["endpoints"][0]["lb_endpoints"]
    assert here == {**before["endpoints"][0]["lb_endpoints"][0], "health_status": "UNHEALTHY"}
    assert others == before["endpoints"][0]["lb_endpoints"][1:]
    assert others[0]["health_status"] == "HEALTHY"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("cat", "1.0"), "cat_1_0"),
        (("cat", "1:2", "exp.1"), "cat_1_2__exp_1"),
    ],
)
def test_names_of_statistics_hold_nothing_that_cuts_them(arguments, name):
    assert clusters.stat_name(*arguments) == name


def test_names_of_files_hold_nothing_but_what_a_file_may():
    assert clusters.eds_file("Cat-2_x@1.0/e:é") == "eds-Cat-2_x@1.0+e++"


@pytest.mark.parametrize("up", [True, False])
def test_the_routes(places, up):
    assert_recorded("routes" if up else "routes_while_down", routes.route_table(MODELS, up, 60), places)


def test_the_routes_of_several_nodes(places):
    assert_recorded("routes_of_nodes", routes.route_table(SHARED, True, 60), places)


def test_an_extension_comes_before_the_routes_of_the_models(places):
    plain = routes.route_table(MODELS, True, 60)["virtual_hosts"][0]["routes"]
    table = routes.route_table(MODELS, True, 60, EXTENSION)
    assert "routes" not in table["virtual_hosts"][0]
    rest = table["virtual_hosts"][0]["matcher"]["on_no_match"]["action"]["typed_config"]
    assert rest.pop("routes") == plain
    assert_recorded("route_extension", [table, routes.inner_table(EXTENSION)], places)


def test_a_reply_names_its_variant_only_where_one_was_chosen():
    assert routes.version_headers("cat", "1.0") == {"x-model-version": "1.0"}
    assert routes.version_headers("cat", "1.0", "weight") == {
        "x-variant": "cat@1.0",
        "x-variant-source": "weight",
        "x-model-version": "1.0",
    }
