"""Where requests go (CDS), and which of the machines there can answer (EDS)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from serving.envoy import Json, address, typed, watched
from serving.settings import LOOPBACK, Settings
from serving.views import Models, VersionView, version_of

MOST_REQUESTS = 10_000
# A hung candidate must not gather more copies than this.
MOST_MIRRORED = 32


@dataclass(frozen=True)
class Upstream:
    """One version's workers on every node, with statistics of its own.

    `backup`: where none of them can answer, or a request failed there, the inner listener takes it.
    """

    name: str
    stat: str
    model: str
    version: str
    backup: bool = False


def cluster_name(name: str, version: str) -> str:
    return f"{name}@{version}"


def stat_name(name: str, version: str, suffix: str = "") -> str:
    """Dots would cut Envoy's statistics apart."""
    return f"{name}_{version}".replace(".", "_").replace(":", "_") + (f"__{suffix}".replace(".", "_") if suffix else "")


def upstreams(models: Models) -> list[Upstream]:
    """One for each version of each model."""
    return [
        Upstream(cluster_name(name, version), stat_name(name, version), name, version)
        for name, model in models.items()
        for version in model.versions
    ]


def clusters(settings: Settings, models: Models, more: Iterable[Upstream], mirrors: Iterable[str]) -> list[Json]:
    """The whole CDS: `more` upstreams beside those of the models, and clusters that copies of requests go to."""
    return [
        _static("control", settings.control_port),
        _static("metrics", settings.metrics_port),
        _static("torchserve", settings.inference_port) | {"health_checks": [_liveness()]},
        *(_static(name, settings.inner_port, MOST_MIRRORED) for name in mirrors),
        *(_versioned(settings, upstream) for upstream in (*upstreams(models), *more)),
    ]


def endpoints(settings: Settings, models: Models, more: Iterable[Upstream]) -> list[Json]:
    """The whole EDS: what control knows of each node's readiness."""
    return [
        _assignment(settings, upstream, version_of(models, upstream.model, upstream.version))
        for upstream in (*upstreams(models), *more)
    ]


def eds_file(cluster: str) -> str:
    """Envoy takes one cluster a file."""
    return "eds-" + re.sub(r"[^A-Za-z0-9_.@-]", "+", cluster)


def _static(name: str, port: int, most: int = MOST_REQUESTS) -> Json:
    endpoint = {"endpoint": {"address": address(LOOPBACK, port)}}
    return {
        **typed("config.cluster.v3.Cluster"),
        "name": name,
        "alt_stat_name": name.replace(".", "_").replace("@", "_"),
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [_limits(most)]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _versioned(settings: Settings, upstream: Upstream) -> Json:
    # What failed is tried elsewhere, not where it failed: with a backup every request may be.
    budget = {"budget_percent": {"value": 100 if upstream.backup else 20}, "min_retry_concurrency": 50}
    return {
        **typed("config.cluster.v3.Cluster"),
        "name": upstream.name,
        "alt_stat_name": upstream.stat,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": watched(settings, eds_file(upstream.name))},
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "1s",
        # Never ask a machine that is known to be unable, not even when all are.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "circuit_breakers": {"thresholds": [_limits(MOST_REQUESTS) | {"retry_budget": budget}]},
        "health_checks": [_liveness()],
        **({"outlier_detection": _ejection()} if settings.peers else {}),
    }


def _assignment(settings: Settings, upstream: Upstream, view: VersionView) -> Json:
    # Of this machine control knows at once; a check every few seconds would close what it has just called ready.
    here = _unchecked(settings.inference_port) | _health(view.closed is None)
    peers = [
        {"endpoint": {"address": address(*peer)}} | _health(f"{peer[0]}:{peer[1]}" in view.elsewhere)
        for peer in settings.peers
    ]
    nodes = [here, *peers]
    groups: list[Json] = [{"priority": 0, "lb_endpoints": nodes}]
    if upstream.backup:
        groups.append({"priority": 1, "lb_endpoints": [_unchecked(settings.inner_port)]})
    return {
        **typed("config.endpoint.v3.ClusterLoadAssignment"),
        "cluster_name": upstream.name,
        "endpoints": groups,
        # One node that is left carries all: its users must not be sent to the backup for want of the others.
        "policy": {"overprovisioning_factor": 100 * len(nodes)},
    }


def _health(healthy: bool) -> Json:
    return {"health_status": "HEALTHY" if healthy else "UNHEALTHY"}


def _unchecked(port: int) -> Json:
    check = {"disable_active_health_check": True}
    return {"endpoint": {"address": address(LOOPBACK, port), "health_check_config": check}}


def _limits(most: int) -> Json:
    return {"max_connections": most, "max_pending_requests": most, "max_requests": most}


def _liveness() -> Json:
    """TorchServe's only true one: /ping needs a token, and fails for all when one model is dead."""
    return {
        "timeout": "2s",
        "interval": "2s",
        "no_traffic_interval": "5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        # A cluster's name, the default, is no valid host: another node's Envoy would refuse it.
        "http_health_check": {"path": "/", "method": "OPTIONS", "host": "marina"},
    }


def _ejection() -> Json:
    """A node that resets connections is left alone before the next liveness check finds out."""
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
    """The same with this machine's TorchServe out of it."""
    here = address(LOOPBACK, settings.inference_port)
    for group in assignment["endpoints"]:
        for endpoint in group["lb_endpoints"]:
            if endpoint["endpoint"]["address"] == here:
                endpoint["health_status"] = "UNHEALTHY"
    return assignment
