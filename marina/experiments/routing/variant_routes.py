"""Leaves of the matcher tree: routes to a variant, to the control where the variant fails, and to a mirror."""

from urllib.parse import quote

from marina import headers
from marina.experiments.spec import Experiment, Variant
from marina.serving.envoy.clusters import cluster_name
from marina.serving.envoy.config import Json, header_additions, header_match, typed
from marina.serving.envoy.content_types import with_content_type
from marina.serving.envoy.route_state import Models, VersionRouteState, version_state
from marina.serving.envoy.routes import (
    GRACE_SECONDS,
    VERBS,
    delay_filter,
    direct_response,
    feedback_token_filter,
    forward,
    other_host_predicate,
    retry_policy_of,
    version_headers,
)

ADD_IF_ABSENT, OVERWRITE = "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD"
VERSION_OF_PATH = f"^/({'|'.join(VERBS)})/[^?]*"
RETRY_ON = "5xx,reset,connect-failure,refused-stream"


def upstream_name(experiment: Experiment, variant: Variant) -> str:
    """Return the name of the cluster of a variant with its backup."""
    return f"{experiment.name}/{variant.name}"


def mirror_cluster(experiment: Experiment) -> str:
    """Return the name of the cluster that gets the copies."""
    return f"mirror/{experiment.name}"


def header_routes(variant: Variant, models: Models) -> list[Json]:
    """Return the routes of a variant that the header x-variant names: no split, no fallback, no logged exposure."""
    version = version_state(models, variant.model, variant.version)
    added = _response_headers(variant, "header", OVERWRITE)
    if version.refusal:
        return [direct_response({"prefix": "/"}, *version.refusal) | added]
    route = _forward(variant, cluster_name(variant.model, variant.version), version) | added
    return with_content_type(route, version)


def split_routes(experiment: Experiment, variant: Variant, models: Models, key: str | None = None) -> list[Json]:
    """Return the routes of a variant that the split chose.

    Where the variant fails, the control responds, through the inner listener. `key` signs feedback tokens; without one
    the responses have none.
    """
    version = version_state(models, variant.model, variant.version)
    labels = {
        headers.EXPERIMENT: experiment.name,
        headers.EXPOSURE_ID: "%UNIQUE_ID%",
        headers.ASSIGNED_VARIANT: variant.name,
        headers.EXPERIMENT_KEY: f"%REQ({experiment.key_header})%",
    }
    added = {
        "request_headers_to_add": header_additions(labels, OVERWRITE),
        # Added only if absent: the inner listener may have added that it was the control.
        **_response_headers(variant, "split", ADD_IF_ABSENT),
    }
    if variant.name == experiment.control and version.refusal:
        return [direct_response({"prefix": "/"}, *version.refusal) | added]
    route = _forward(variant, upstream_name(experiment, variant), version)
    route["route"] |= _mirror_policies(experiment, variant)
    if variant.name != experiment.control:
        route["route"]["retry_policy"] = _fallback_policy(version)
        control = experiment.variant(experiment.control)
        control_seconds = version_state(models, control.model, control.version).deadline + GRACE_SECONDS
        both = f"{version.deadline + GRACE_SECONDS + control_seconds:g}s"  # nothing may be sent until the second try
        route["route"] |= {"idle_timeout": both} if version.streams else {"idle_timeout": both, "timeout": both}
        each = "per_try_idle_timeout" if version.streams else "per_try_timeout"
        route["route"]["retry_policy"][each] = f"{max(version.deadline + GRACE_SECONDS, control_seconds):g}s"
    signed = feedback_token_filter(experiment.name, key) if key else {}
    return with_content_type(_merged(route, added, delay_filter(version), signed), version)


def _merged(route: Json, *parts: Json) -> Json:
    """Return the route with the fields of all parts; their lists and mappings are joined."""
    result = dict(route)
    for part in parts:
        for field, value in part.items():
            before = result.get(field, type(value)())
            result[field] = [*before, *value] if isinstance(value, list) else {**before, **value}
    return result


def inner_routes(experiment: Experiment, models: Models) -> list[Json]:
    """Return the routes of the inner listener: copies go to the mirror's version, failed requests to the control's."""
    of_experiment = header_match(headers.EXPERIMENT, experiment.name)
    control = experiment.variant(experiment.control)
    routes = []
    if experiment.mirror:
        model, _, version = experiment.mirror.to.rpartition("@")
        mirror = Variant(model=model, version=version, weight=0)
        match = {"prefix": "/", "headers": [of_experiment, header_match(headers.MIRROR, mirror.name)]}
        routes += _inner_routes(match, mirror, models, "mirror")
    return [*routes, *_inner_routes({"prefix": "/", "headers": [of_experiment]}, control, models, "fallback")]


def _inner_routes(match: Json, variant: Variant, models: Models, source: str) -> list[Json]:
    version = version_state(models, variant.model, variant.version)
    added = _response_headers(variant, source, OVERWRITE)
    if version.refusal:
        return [direct_response(match, *version.refusal) | added]
    route = _forward(variant, cluster_name(variant.model, variant.version), version) | {"match": match} | added
    return with_content_type(route, version, inner=True)


def _response_headers(variant: Variant, source: str, action: str) -> Json:
    return {
        "response_headers_to_add": header_additions(version_headers(variant.model, variant.version, source), action)
    }


def _forward(variant: Variant, cluster: str, version: VersionRouteState) -> Json:
    """Return the route to a cluster, with the version in the upstream path, whatever the client's path names."""
    path = rf"/\1/{quote(variant.model)}/{quote(variant.version)}"
    rewrite = {"regex_rewrite": {"pattern": {"regex": VERSION_OF_PATH}, "substitution": path}}
    more = {"retry_policy": retry_policy_of(version), **rewrite}
    return forward({"prefix": "/"}, cluster, version.deadline + GRACE_SECONDS, version.streams, **more)


def _fallback_policy(version: VersionRouteState) -> Json:
    """Return the retry policy of a variant with a backup: another node first, where there is one, then the backup."""
    nodes = 2 if version.has_peers else 1
    kind = "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
    previous = typed(kind, update_frequency=nodes)
    priority = {"name": "envoy.retry_priorities.previous_priorities", "typed_config": previous}
    return {"retry_on": RETRY_ON, "num_retries": nodes, "retry_priority": priority, **other_host_predicate()}


def _mirror_policies(experiment: Experiment, variant: Variant) -> Json:
    """Return the members of a variant's route that send copies to the mirror; none for the mirror itself."""
    mirror = experiment.mirror
    if mirror is None or mirror.to == variant.name:
        return {}
    share = {"default_value": {"numerator": round(mirror.percent * 10_000), "denominator": "MILLION"}}
    mutations = [{"append": addition} for addition in header_additions({headers.MIRROR: mirror.to}, OVERWRITE)]
    policy = {
        "cluster": mirror_cluster(experiment),
        "runtime_fraction": share,
        "request_headers_mutations": mutations,
    }
    return {"request_mirror_policies": [policy]}
