"""Clusters (CDS): groups of upstream hosts that serve the same requests; and their endpoints (EDS) with health."""

import re
from collections.abc import Iterable

from marina.serving.envoy import node_tls
from marina.serving.envoy.config import Json, address, pipe, typed, watched
from marina.serving.envoy.route_state import Models, Upstream, VersionRouteState, version_state
from marina.settings import LOOPBACK, Settings

MAX_REQUESTS = 10_000
# Bounds the copies that pile up at a mirror which hangs.
MAX_MIRRORED_REQUESTS = 32


def cluster_name(name: str, version: str) -> str:
    """Return the name of a version's cluster.

    >>> cluster_name("resnet18", "1.0")
    'resnet18@1.0'
    """
    return f"{name}@{version}"


def stat_name(name: str, version: str, suffix: str = "") -> str:
    """Return a version's name in Envoy's statistics, which dots and colons would split.

    >>> stat_name("resnet18", "1.0", "trial")
    'resnet18_1_0__trial'
    """
    return f"{name}_{version}".replace(".", "_").replace(":", "_") + (f"__{suffix}".replace(".", "_") if suffix else "")


def version_upstreams(models: Models) -> list[Upstream]:
    """Return one upstream for each version of each model."""
    return [
        Upstream(cluster_name(name, version), stat_name(name, version), name, version)
        for name, model in models.items()
        for version in model.versions
    ]


def clusters(settings: Settings, models: Models, more: Iterable[Upstream], mirrors: Iterable[str]) -> list[Json]:
    """Return every cluster: those of the models, `more` upstreams, and `mirrors` that receive copies of requests."""
    return [
        _static("control", pipe(settings.control_socket)),
        _static("metrics", pipe(settings.metrics_socket)),
        _static("torchserve", address(LOOPBACK, settings.inference_port)) | {"health_checks": [_liveness()]},
        *(_static(name, pipe(settings.inner_socket), MAX_MIRRORED_REQUESTS) for name in mirrors),
        *(_versioned(settings, upstream) for upstream in (*version_upstreams(models), *more)),
    ]


def endpoints(settings: Settings, models: Models, more: Iterable[Upstream]) -> list[Json]:
    """Return the endpoints of each cluster, healthy where the control process found the node ready."""
    return [
        _assignment(settings, upstream, version_state(models, upstream.model, upstream.version))
        for upstream in (*version_upstreams(models), *more)
    ]


def eds_file(cluster: str) -> str:
    """Return the name of a cluster's endpoint file: Envoy reads one cluster from each file."""
    return "eds-" + re.sub(r"[^A-Za-z0-9_.@-]", "+", cluster)


def _static(name: str, host: Json, requests: int = MAX_REQUESTS) -> Json:
    endpoint = {"endpoint": {"address": host}}
    return {
        **typed("config.cluster.v3.Cluster"),
        "name": name,
        "alt_stat_name": name.replace(".", "_").replace("@", "_"),
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [_limits(requests)]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _versioned(settings: Settings, upstream: Upstream) -> Json:
    # Retries go to other hosts, not to the one that failed. With a backup every request may be retried.
    budget = {"budget_percent": {"value": 100 if upstream.backup else 20}, "min_retry_concurrency": 50}
    return {
        **typed("config.cluster.v3.Cluster"),
        "name": upstream.name,
        "alt_stat_name": upstream.stat,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": watched(settings, eds_file(upstream.name))},
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "1s",
        # Never send requests to unhealthy hosts, not even when all are unhealthy.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "circuit_breakers": {"thresholds": [_limits(MAX_REQUESTS) | {"retry_budget": budget}]},
        "health_checks": [_liveness()],
        **({"outlier_detection": _ejection()} if settings.peers else {}),
        **node_tls.cluster_fields(settings),
    }


def _assignment(settings: Settings, upstream: Upstream, state: VersionRouteState) -> Json:
    # Control is the first to have this node's state: periodic checks would close a version just reported as ready.
    here = _unchecked(address(LOOPBACK, settings.inference_port)) | _health(state.closed is None)
    peers = [
        {"endpoint": {"address": address(*peer)}}
        | _health(f"{peer[0]}:{peer[1]}" in state.ready_peers)
        | node_tls.endpoint_fields(settings)
        for peer in settings.peers
    ]
    nodes = [here, *peers]
    groups: list[Json] = [{"priority": 0, "lb_endpoints": nodes}]
    if upstream.backup:
        groups.append({"priority": 1, "lb_endpoints": [_unchecked(pipe(settings.inner_socket))]})
    return {
        **typed("config.endpoint.v3.ClusterLoadAssignment"),
        "cluster_name": upstream.name,
        "endpoints": groups,
        # A single remaining node carries all traffic; missing peers must not send its requests to the backup.
        "policy": {"overprovisioning_factor": 100 * len(nodes)},
    }


def _health(healthy: bool) -> Json:
    return {"health_status": "HEALTHY" if healthy else "UNHEALTHY"}


def _unchecked(host: Json) -> Json:
    return {"endpoint": {"address": host, "health_check_config": {"disable_active_health_check": True}}}


def _limits(requests: int) -> Json:
    return {"max_connections": requests, "max_pending_requests": requests, "max_requests": requests}


def _liveness() -> Json:
    """Return TorchServe's health check: OPTIONS /. /ping needs a token, and fails for all when one model is dead."""
    return {
        "timeout": "2s",
        "interval": "2s",
        "no_traffic_interval": "5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        # The default, the cluster's name, is not a valid host: another node's Envoy would reject it.
        "http_health_check": {"path": "/", "method": "OPTIONS", "host": "marina"},
    }


def _ejection() -> Json:
    """Return outlier detection: eject a node that resets connections before the next health check notices it."""
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 3,
        "consecutive_5xx": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "interval": "1s",
        "base_ejection_time": "5s",
        "max_ejection_percent": 50,
    }


def closed_here(settings: Settings, assignment: Json) -> Json:
    """Return the assignment with this node's TorchServe marked unhealthy. `assignment` is changed in place."""
    here = address(LOOPBACK, settings.inference_port)
    for group in assignment["endpoints"]:
        for endpoint in group["lb_endpoints"]:
            if endpoint["endpoint"]["address"] == here:
                endpoint["health_status"] = "UNHEALTHY"
    return assignment
