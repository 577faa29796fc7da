"""Routes (RDS): which path goes to which cluster."""

from typing import Any
from urllib.parse import quote

from marina import headers
from marina.security import caller as caller_header
from marina.serving.envoy.clusters import cluster_name
from marina.serving.envoy.config import Json, header_additions, header_match, typed
from marina.serving.envoy.content_types import refused_forms, with_content_type
from marina.serving.envoy.route_state import (
    NO_EXTENSION,
    ModelRouteState,
    Models,
    RouteExtension,
    VersionRouteState,
)

VERBS = ("predictions", "explanations")
FEEDBACK_FILTER = "marina.feedback_token"
# Names of the public and the inner RouteConfiguration, and of the secret.
ROUTES, INNER, TOKEN = "marina", "inner", "inference-token"
# TorchServe may use all of its responseTimeout; after that Envoy responds.
GRACE_SECONDS = 5
HOLD_SECONDS = 3
# A model and perhaps a version, nothing else: TorchServe takes /predictions/a/ and /predictions/a/1.0/x for a, and so a
# request would get round the routes of a model of ours.
FOREIGN_PATH = f"/({'|'.join((*VERBS, 'wfpredict'))})/[^/%]+(/[^/%]+)?"
ANY_SIZE = 1 << 31  # bytes of a request
CONTROL_PATHS = ("/v1", "/docs", "/openapi.json", "/ready")
# Retry only what never reached TorchServe: a second inference would double the load.
NEVER_SENT = "connect-failure,refused-stream,reset-before-request"
# Envoy picks hosts at random until it picks another one: with two hosts, 20 picks of the same one are improbable.
MAX_HOST_PICKS = 20
# Retry on another node in more cases: what failed there costs nothing here.
FAILED_ON_NODE = "connect-failure,refused-stream,reset,gateway-error"


def direct_response(match: Json, status: int, message: str) -> Json:
    """Return a route to which Envoy responds itself; its local reply puts the message into JSON (see bootstrap)."""
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": message}}}


def forward(match: Json, cluster: str, deadline: float, streams: bool = False, **more: Any) -> Json:
    """Return a route to a cluster with `deadline` seconds for the response or, if it `streams`, for each pause in it.

    `more` are further fields of Envoy's RouteAction. The idle timeout is the client's as well: it must read on.
    """
    limit = {"timeout": "0s" if streams else f"{deadline:g}s", "idle_timeout": f"{deadline:g}s"}
    retry = {"retry_on": NEVER_SENT, "num_retries": 1}
    return {"match": match, "route": {"cluster": cluster, "retry_policy": retry, **limit, **more}}


def retry_policy_of(state: VersionRouteState) -> Json:
    """Return the retry policy: once on another node, whatever failed; with a single node, only if it was never sent.

    It does not depend on which nodes are ready: a node may die while a request is on its way there.
    """
    conditions = {"retry_on": FAILED_ON_NODE, **other_host_predicate()} if state.has_peers else {"retry_on": NEVER_SENT}
    return {"num_retries": 1, **conditions}


def other_host_predicate() -> Json:
    """Return the fields of a retry policy that exclude the host which failed, if there is another."""
    previous = typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")
    predicate = {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": previous}
    return {"retry_host_predicate": [predicate], "host_selection_retry_max_attempts": MAX_HOST_PICKS}


def version_headers(name: str, version: str, source: str | None = None) -> dict[str, str]:
    """Return the response headers that name the version.

    `source` is the reason for this version ("path", "header", "split", ...), None for the default.

    >>> version_headers("resnet18", "1.0", "path")
    {'x-variant': 'resnet18@1.0', 'x-variant-source': 'path', 'x-model-version': '1.0'}
    """
    variant = {headers.VARIANT: cluster_name(name, version), headers.VARIANT_SOURCE: source} if source else {}
    return {**variant, headers.MODEL_VERSION: version}


def delay_filter(state: VersionRouteState) -> Json:
    """Return the delay (by envoy.filters.http.fault) of a route whose requests are held; empty for others."""
    delay = {"fixed_delay": f"{HOLD_SECONDS}s", "percentage": {"numerator": 100}}
    pause = typed("extensions.filters.http.fault.v3.HTTPFault", delay=delay)
    return {"typed_per_filter_config": {"envoy.filters.http.fault": pause}} if state.hold else {}


def feedback_token_filter(experiment: str, key: str) -> Json:
    """Return the fields of an experiment's route by which its responses carry a token that is signed with `key`."""
    claims = f"%REQ({headers.EXPOSURE_ID.upper()})% %START_TIME(%s)% %REQ({headers.REQUEST_ID.upper()})%"
    context = {"experiment": experiment, "key": key}
    signing = typed("extensions.filters.http.lua.v3.LuaPerRoute", name=FEEDBACK_FILTER, filter_context=context)
    return {
        "response_headers_to_add": header_additions({headers.FEEDBACK_TOKEN: claims}, "OVERWRITE_IF_EXISTS_OR_ADD"),
        "typed_per_filter_config": {FEEDBACK_FILTER: signing},
    }


def model_routes(name: str, model: ModelRouteState) -> list[Json]:
    """Return the routes of one model.

    The version is explicit upstream: otherwise TorchServe's metrics would report it as "default".
    """
    routes = []
    for verb in VERBS:
        for named in (None, *model.versions):
            version = named or model.default
            state = model.versions[version]
            upstream = f"/{verb}/{quote(name)}/{quote(version)}"
            match = {"path": upstream if named else f"/{verb}/{quote(name)}"}
            if state.refusal:
                routes.append(direct_response(match, *state.refusal))
                continue
            more: Json = {"retry_policy": retry_policy_of(state), **({} if named else {"prefix_rewrite": upstream})}
            deadline = state.deadline + GRACE_SECONDS
            route = forward(match, cluster_name(name, version), deadline, state.streams, **more) | delay_filter(state)
            added = version_headers(name, version, "path" if named else None)
            route |= {"response_headers_to_add": header_additions(added, "OVERWRITE_IF_EXISTS_OR_ADD")}
            routes += with_content_type(route, state)
    return routes


def marina_routes(proof: str = "") -> list[Json]:
    """Return the routes to Marina's own API and to metrics.

    Control reads the client's own Authorization header, so no token is injected, and the caller that Envoy verified,
    with the `proof` that it was Envoy.
    """
    disabled = typed("config.route.v3.FilterConfig", config={}, disabled=True)
    plain = {"typed_per_filter_config": {"envoy.filters.http.credential_injector": disabled}}
    verified = {headers.CALLER: caller_header.FORMAT, headers.CALLER_PROOF: proof}
    caller = header_additions(verified, "OVERWRITE_IF_EXISTS_OR_ADD")
    control = {**plain, "request_headers_to_add": caller}
    return [
        *({**forward({"path_separated_prefix": path}, "control", 60), **control} for path in CONTROL_PATHS),
        {**forward({"path": "/metrics"}, "metrics", 30), **plain},
        {"match": {"path": "/", "headers": [header_match(":method", "GET")]}, "redirect": {"path_redirect": "/docs"}},
    ]


def foreign_routes(torchserve_is_up: bool, deadline: float) -> list[Json]:
    """Return the routes to models that were registered by TorchServe's own API, and to its health check: no forms."""
    matches: list[Json] = [{"safe_regex": {"regex": FOREIGN_PATH}}]
    matches += [{"path": "/ping"}, {"path": "/", "headers": [header_match(":method", "OPTIONS")]}]
    if torchserve_is_up:
        refusals = [refusal for match in matches for refusal in refused_forms(match)]
        return [*refusals, *(forward(match, "torchserve", deadline + GRACE_SECONDS) for match in matches)]
    return [direct_response(match, 503, "TorchServe is not ready: see /ready") for match in matches]


def route_table(
    models: Models,
    torchserve_is_up: bool,
    deadline: float,
    extension: RouteExtension = NO_EXTENSION,
    proof: str = "",
) -> Json:
    """Return the RouteConfiguration of the public listener.

    `deadline` (seconds) applies to foreign models; `proof` shows control that a request came through Envoy.
    """
    routes = [route for name, model in models.items() for route in model_routes(name, model)]
    routes += marina_routes(proof) + foreign_routes(torchserve_is_up, deadline)
    routes.append(direct_response({"prefix": "/"}, 404, "there is nothing at this path: see /docs"))
    content: Json = {"routes": routes}
    if extension.matchers:
        rest = {"name": "routes", "typed_config": typed("config.route.v3.RouteList", routes=routes)}
        matchers = {"matchers": list(extension.matchers)}
        content = {"matcher": {"matcher_list": matchers, "on_no_match": {"action": rest}}}
    return _table(ROUTES, content)


def inner_table(extension: RouteExtension) -> Json:
    """Return the RouteConfiguration of the inner listener."""
    return _table(INNER, {"routes": list(extension.inner)})


def _table(name: str, content: Json) -> Json:
    # A request can be sent again, or copied to a mirror, whatever its size: limits.body_buffers has bounded it.
    host = {"name": name, "domains": ["*"], "request_body_buffer_limit": ANY_SIZE, **content}
    return typed("config.route.v3.RouteConfiguration", name=name, virtual_hosts=[host])
