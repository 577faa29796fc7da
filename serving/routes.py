"""What Envoy is told at run time: which path goes where (RDS), the clusters behind (CDS), the token it adds (SDS)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from serving.settings import LOOPBACK, Settings

Json = dict[str, Any]

VERBS = ("predictions", "explanations")
TYPE = "type.googleapis.com/envoy"
ROUTES, TOKEN = "marina", "inference-token"
# TorchServe may take its whole responseTimeout; after that it is Envoy who says so.
GRACE_SECONDS = 5
HOLD_SECONDS = 3
CONTROL_PATHS = ("/v1", "/docs", "/openapi.json", "/ready")


@dataclass(frozen=True)
class VersionView:
    """What the gateway must know of one version: the deadline in seconds, and if it is closed, the answer instead.

    `hold`: let each request wait for HOLD_SECONDS, so that those before it can finish.
    """

    deadline: float
    closed: tuple[int, str] | None = None
    hold: bool = False


@dataclass(frozen=True)
class ModelView:
    """A model's versions and the one that answers requests which name none."""

    default: str
    versions: Mapping[str, VersionView] = field(default_factory=dict)


def cluster_name(name: str, version: str) -> str:
    return f"{name}@{version}"


def stat_name(name: str, version: str) -> str:
    """Dots would cut Envoy's statistics apart."""
    return f"{name}_{version}".replace(".", "_").replace(":", "_")


def refuse(match: Json, status: int, message: str) -> Json:
    """Envoy answers by itself; serving.gateway puts the message into JSON."""
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": message}}}


def forward(match: Json, cluster: str, deadline: float, **more: Any) -> Json:
    """Only what never reached TorchServe is tried again: a second inference would double the load."""
    retry = {"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 1}
    return {"match": match, "route": {"cluster": cluster, "timeout": f"{deadline:g}s", "retry_policy": retry, **more}}


def held(view: VersionView) -> Json:
    """The fault filter, put to good use: a pause before the request goes on."""
    delay = {"fixed_delay": f"{HOLD_SECONDS}s", "percentage": {"numerator": 100}}
    pause = {"@type": f"{TYPE}.extensions.filters.http.fault.v3.HTTPFault", "delay": delay}
    return {"typed_per_filter_config": {"envoy.filters.http.fault": pause}} if view.hold else {}


def model_routes(name: str, model: ModelView) -> list[Json]:
    """Routes of one model. The version is explicit upstream: TorchServe's metrics would say "default" otherwise."""
    routes = []
    for verb in VERBS:
        for version in (None, *model.versions):
            view = model.versions[version or model.default]
            upstream = f"/{verb}/{quote(name)}/{quote(version or model.default)}"
            match = {"path": upstream if version else f"/{verb}/{quote(name)}"}
            if view.closed:
                routes.append(refuse(match, *view.closed))
            else:
                cluster = cluster_name(name, version or model.default)
                rewrite = {} if version else {"prefix_rewrite": upstream}
                routes.append(forward(match, cluster, view.deadline + GRACE_SECONDS, **rewrite) | held(view))
    return routes


def own_routes() -> list[Json]:
    """Everything that is no prediction. Control reads the client's own Authorization header, so none is injected."""
    disabled = {"@type": f"{TYPE}.config.route.v3.FilterConfig", "config": {}, "disabled": True}
    plain = {"typed_per_filter_config": {"envoy.filters.http.credential_injector": disabled}}
    return [
        *({**forward({"path_separated_prefix": path}, "control", 60), **plain} for path in CONTROL_PATHS),
        {**forward({"path": "/metrics"}, "metrics", 30), **plain},
        {"match": {"path": "/", "headers": [_method("GET")]}, "redirect": {"path_redirect": "/docs"}},
    ]


def foreign_routes(torchserve_is_up: bool, deadline: float) -> list[Json]:
    """Models that someone registered by TorchServe's own API, and its liveness."""
    matches: list[Json] = [{"prefix": f"/{verb}/"} for verb in (*VERBS, "wfpredict")]
    matches += [{"path": "/ping"}, {"path": "/", "headers": [_method("OPTIONS")]}]
    if torchserve_is_up:
        return [forward(match, "torchserve", deadline + GRACE_SECONDS) for match in matches]
    return [refuse(match, 503, "TorchServe is not ready: see /ready") for match in matches]


def _method(name: str) -> Json:
    return {"name": ":method", "string_match": {"exact": name}}


def route_table(models: Mapping[str, ModelView], torchserve_is_up: bool, deadline: float) -> Json:
    """The RouteConfiguration; `deadline` (seconds) is for models that are not ours."""
    routes = [route for name, model in models.items() for route in model_routes(name, model)]
    routes += own_routes() + foreign_routes(torchserve_is_up, deadline)
    routes.append(refuse({"prefix": "/"}, 404, "there is nothing at this path: see /docs"))
    return {
        "@type": f"{TYPE}.config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "virtual_hosts": [{"name": ROUTES, "domains": ["*"], "routes": routes}],
    }


def cluster(name: str, port: int, alt_stat_name: str | None = None, *, watched: bool = False) -> Json:
    """One upstream on loopback; `watched` adds TorchServe's liveness check."""
    endpoint = {"endpoint": {"address": {"socket_address": {"address": LOOPBACK, "port_value": port}}}}
    check = {
        "timeout": "2s",
        "interval": "2s",
        "no_traffic_interval": "5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "http_health_check": {"path": "/", "method": "OPTIONS"},
    }
    return {
        "@type": f"{TYPE}.config.cluster.v3.Cluster",
        "name": name,
        **({"alt_stat_name": alt_stat_name} if alt_stat_name else {}),
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        **({"health_checks": [check]} if watched else {}),
    }


def clusters(settings: Settings, models: Mapping[str, ModelView]) -> list[Json]:
    """One for each version, so that Envoy counts its requests apart; the rest for what is no version of ours."""
    return [
        cluster("control", settings.control_port),
        cluster("metrics", settings.metrics_port),
        cluster("torchserve", settings.inference_port, watched=True),
        *(
            cluster(cluster_name(name, version), settings.inference_port, stat_name(name, version), watched=True)
            for name, model in models.items()
            for version in model.versions
        ),
    ]


def token(value: str) -> Json:
    """The secret that credential_injector sends as `Authorization: Bearer <value>`."""
    return {
        "@type": f"{TYPE}.extensions.transport_sockets.tls.v3.Secret",
        "name": TOKEN,
        "generic_secret": {"secret": {"inline_string": value}},
    }
