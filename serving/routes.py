"""Which path goes where (RDS)."""

from typing import Any
from urllib.parse import quote

from serving.clusters import cluster_name
from serving.envoy import Json, adding, header, typed
from serving.overlay import NONE, Overlay
from serving.views import Models, ModelView, VersionView

VERBS = ("predictions", "explanations")
ROUTES, INNER, TOKEN = "marina", "inner", "inference-token"
# TorchServe may take its whole responseTimeout; after that it is Envoy who says so.
GRACE_SECONDS = 5
HOLD_SECONDS = 3
CONTROL_PATHS = ("/v1", "/docs", "/openapi.json", "/ready")
# Only what never reached TorchServe is tried again: a second inference would double the load.
UNSEEN = "connect-failure,refused-stream,reset-before-request"
# Envoy picks at random until it meets another host: of two, this often the same one is out of the question.
PICKS = 20
# Of another node it may be asked: what failed there costs nothing here.
ELSEWHERE = "connect-failure,refused-stream,reset,gateway-error"


def refuse(match: Json, status: int, message: str) -> Json:
    """Envoy answers by itself; serving.gateway puts the message into JSON."""
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": message}}}


def forward(match: Json, cluster: str, deadline: float, streams: bool = False, **more: Any) -> Json:
    """`deadline` seconds for the whole reply; where it `streams`, for each silence in it."""
    limit = {"timeout": "0s", "idle_timeout": f"{deadline:g}s"} if streams else {"timeout": f"{deadline:g}s"}
    retry = {"retry_on": UNSEEN, "num_retries": 1}
    return {"match": match, "route": {"cluster": cluster, "retry_policy": retry, **limit, **more}}


def retries(view: VersionView) -> Json:
    """Once more on another node, whatever happened; where there is but one, only what it never saw.

    Not by which nodes are ready: that may change while a request is on its way to the one that is dying.
    """
    again = {"retry_on": ELSEWHERE, **other_host()} if view.several else {"retry_on": UNSEEN}
    return {"num_retries": 1, **again}


def other_host() -> Json:
    """Members of a retry policy: not the host where it failed, if there is another."""
    previous = typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")
    predicate = {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": previous}
    return {"retry_host_predicate": [predicate], "host_selection_retry_max_attempts": PICKS}


def version_headers(name: str, version: str, source: str | None = None) -> dict[str, str]:
    """What a reply says of where it comes from; `source`: why this version was chosen, where somebody chose."""
    chosen = {"x-variant": cluster_name(name, version), "x-variant-source": source} if source else {}
    return {**chosen, "x-model-version": version}


def held(view: VersionView) -> Json:
    """The fault filter, put to good use: a pause before the request goes on."""
    delay = {"fixed_delay": f"{HOLD_SECONDS}s", "percentage": {"numerator": 100}}
    pause = typed("extensions.filters.http.fault.v3.HTTPFault", delay=delay)
    return {"typed_per_filter_config": {"envoy.filters.http.fault": pause}} if view.hold else {}


def model_routes(name: str, model: ModelView) -> list[Json]:
    """Routes of one model. The version is explicit upstream: TorchServe's metrics would say "default" otherwise."""
    routes = []
    for verb in VERBS:
        for asked in (None, *model.versions):
            version = asked or model.default
            view = model.versions[version]
            upstream = f"/{verb}/{quote(name)}/{quote(version)}"
            match = {"path": upstream if asked else f"/{verb}/{quote(name)}"}
            if view.refusal:
                routes.append(refuse(match, *view.refusal))
                continue
            more: Json = {"retry_policy": retries(view), **({} if asked else {"prefix_rewrite": upstream})}
            deadline = view.deadline + GRACE_SECONDS
            route = forward(match, cluster_name(name, version), deadline, view.streams, **more) | held(view)
            said = version_headers(name, version, "path" if asked else None)
            routes.append(route | {"response_headers_to_add": adding(said, "OVERWRITE_IF_EXISTS_OR_ADD")})
    return routes


def own_routes() -> list[Json]:
    """Everything that is no prediction. Control reads the client's own Authorization header, so none is injected."""
    disabled = typed("config.route.v3.FilterConfig", config={}, disabled=True)
    plain = {"typed_per_filter_config": {"envoy.filters.http.credential_injector": disabled}}
    return [
        *({**forward({"path_separated_prefix": path}, "control", 60), **plain} for path in CONTROL_PATHS),
        {**forward({"path": "/metrics"}, "metrics", 30), **plain},
        {"match": {"path": "/", "headers": [header(":method", "GET")]}, "redirect": {"path_redirect": "/docs"}},
    ]


def foreign_routes(torchserve_is_up: bool, deadline: float) -> list[Json]:
    """Models that someone registered by TorchServe's own API, and its liveness."""
    matches: list[Json] = [{"prefix": f"/{verb}/"} for verb in (*VERBS, "wfpredict")]
    matches += [{"path": "/ping"}, {"path": "/", "headers": [header(":method", "OPTIONS")]}]
    if torchserve_is_up:
        return [forward(match, "torchserve", deadline + GRACE_SECONDS) for match in matches]
    return [refuse(match, 503, "TorchServe is not ready: see /ready") for match in matches]


def route_table(models: Models, torchserve_is_up: bool, deadline: float, overlay: Overlay = NONE) -> Json:
    """The RouteConfiguration of the public listener; `deadline` (seconds) is for models that are not ours."""
    routes = [route for name, model in models.items() for route in model_routes(name, model)]
    routes += own_routes() + foreign_routes(torchserve_is_up, deadline)
    routes.append(refuse({"prefix": "/"}, 404, "there is nothing at this path: see /docs"))
    content: Json = {"routes": routes}
    if overlay.matchers:
        rest = {"name": "routes", "typed_config": typed("config.route.v3.RouteList", routes=routes)}
        matchers = {"matchers": list(overlay.matchers)}
        content = {"matcher": {"matcher_list": matchers, "on_no_match": {"action": rest}}}
    return _table(ROUTES, content)


def inner_table(overlay: Overlay) -> Json:
    """The RouteConfiguration of the inner listener."""
    return _table(INNER, {"routes": list(overlay.inner)})


def _table(name: str, content: Json) -> Json:
    host = {"name": name, "domains": ["*"], **content}
    return typed("config.route.v3.RouteConfiguration", name=name, virtual_hosts=[host])
