"""Envoy's matcher tree for the experiments that run.

A request passes at most three matchers: whether its path is an experiment's, whether it names a variant, and which
bucket its key is in. They are nodes of Envoy's matcher tree (envoy.type.matcher); the leaves are routes.
"""

from collections.abc import Iterable

from marina import headers
from marina.experiments.history import State
from marina.experiments.routing.variant_routes import (
    header_routes,
    inner_routes,
    mirror_cluster,
    split_routes,
    upstream_name,
)
from marina.experiments.spec import Experiment, Variant
from marina.experiments.split import BUCKETS
from marina.serving.envoy.clusters import stat_name
from marina.serving.envoy.config import Json, typed
from marina.serving.envoy.route_state import Models, RouteExtension, Upstream
from marina.serving.envoy.routes import VERBS, direct_response


def route_extension(states: Iterable[State], models: Models, key: str | None = None) -> RouteExtension:
    """Return the routes, clusters and matchers of all running experiments; `key` signs feedback tokens."""
    running = [state for state in states if state.running]
    experiments = [state.experiment for state in running]
    return RouteExtension(
        matchers=[_matcher(state, models, key) for state in running],
        upstreams=[_upstream(experiment, variant) for experiment in experiments for variant in experiment.variants],
        mirrors=[mirror_cluster(experiment) for experiment in experiments if experiment.mirror],
        inner=[route for experiment in experiments for route in inner_routes(experiment, models)],
    )


def _upstream(experiment: Experiment, variant: Variant) -> Upstream:
    return Upstream(
        upstream_name(experiment, variant),
        stat_name(variant.model, variant.version, experiment.name),
        variant.model,
        variant.version,
        backup=variant.name != experiment.control,
    )


def _matcher(state: State, models: Models, key: str | None) -> Json:
    """Return the field matcher of one experiment: its paths, and the tree below them."""
    experiment = state.experiment
    named = [
        _when(_header(headers.VARIANT, _exact(variant.name)), _leaf(*header_routes(variant, models)))
        for variant in experiment.variants
    ]
    known = ", ".join(experiment.weights)
    unknown = direct_response(
        {"prefix": "/"}, 400, f"X-Variant names none of the variants of {experiment.name}: {known}"
    )
    by_key = _buckets(state, experiment.key_header, models, key)
    by_request = _buckets(state, headers.REQUEST_ID, models, key)
    matchers = [
        *named,
        _when(_present(headers.VARIANT), _leaf(unknown)),
        _when(_header(experiment.key_header, _exact("")), by_request),
        _when(_present(experiment.key_header), by_key),
    ]
    tree = {"matcher": {"matcher_list": {"matchers": matchers}, "on_no_match": by_request}}
    paths = [f"/{verb}/{experiment.name}" for verb in VERBS]
    # Exact, or with a query: one regular expression would do, but Envoy calls them deprecated here.
    conditions = [_header(":path", match) for path in paths for match in (_exact(path), {"prefix": f"{path}?"})]
    on_path = {"or_matcher": {"predicate": [{"single_predicate": each} for each in conditions]}}
    return {"predicate": on_path, "on_match": tree}


def _buckets(state: State, header: str, models: Models, key: str | None) -> Json:
    """Return the matchers of the split by a header's hash, last run of buckets first.

    Each matches buckets from its first one on.
    """
    experiment, split = state.experiment, state.split
    leaves = {variant.name: _leaf(*split_routes(experiment, variant, models, key)) for variant in experiment.variants}
    matchers = [_when(_bucket(experiment, header, first), leaves[name]) for first, name in reversed(split[1:])]
    first = leaves[split[0][1]]
    return {"matcher": {"matcher_list": {"matchers": matchers}, "on_no_match": first}} if matchers else first


def _bucket(experiment: Experiment, header: str, first: int) -> Json:
    """Return the predicate xxHash64(value, seed) % BUCKETS >= first, of the header's value."""
    return _hashed(header, threshold=first, modulo=BUCKETS, seed=str(experiment.seed))


def _present(name: str) -> Json:
    """Return the predicate that a header is present: every hash is at least 0, but a missing header has none."""
    return _hashed(name, threshold=0, modulo=1)


def _hashed(name: str, **fields: int | str) -> Json:
    kind = "extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing"
    custom = {"name": "consistent_hashing", "typed_config": typed(kind, **fields)}
    return {"input": _input(name), "custom_match": custom}


def _header(name: str, value: Json) -> Json:
    return {"input": _input(name), "value_match": value}


def _input(name: str) -> Json:
    kind = "type.matcher.v3.HttpRequestHeaderMatchInput"
    return {"name": "header", "typed_config": typed(kind, header_name=name.lower())}


def _exact(text: str) -> Json:
    return {"exact": text}


def _when(predicate: Json, then: Json) -> Json:
    return {"predicate": {"single_predicate": predicate}, "on_match": then}


def _leaf(*routes: Json) -> Json:
    """Return the action that takes the first of these routes that matches."""
    if len(routes) == 1:
        return {"action": {"name": "route", "typed_config": typed("config.route.v3.Route", **routes[0])}}
    return {"action": {"name": "routes", "typed_config": typed("config.route.v3.RouteList", routes=list(routes))}}
