"""Running experiments -> what Envoy needs for them.

A request goes through at most three questions: is its path an experiment's, does it name a variant, and in which
bucket is its key? The answers are nodes of Envoy's matcher tree (envoy.type.matcher), its leaves are routes.
"""

from collections.abc import Iterable

from routing.experiments import Experiment, Variant
from routing.history import State
from routing.leaves import chosen, explicit, inner_routes, mirror_cluster, upstream_name
from routing.split import BUCKETS
from serving.clusters import Upstream, stat_name
from serving.envoy import Json, typed
from serving.overlay import Overlay
from serving.routes import VERBS, refuse
from serving.views import Models


def overlay(states: Iterable[State], models: Models) -> Overlay:
    """All running experiments."""
    running = [state for state in states if state.running]
    experiments = [state.experiment for state in running]
    return Overlay(
        matchers=[_matcher(state, models) for state in running],
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


def _matcher(state: State, models: Models) -> Json:
    experiment = state.experiment
    named = [
        _when(_header("x-variant", _exact(variant.name)), _leaf(explicit(variant, models)))
        for variant in experiment.variants
    ]
    known = ", ".join(experiment.weights)
    unknown = refuse({"prefix": "/"}, 400, f"X-Variant names none of the variants of {experiment.name}: {known}")
    by_key = _buckets(state, experiment.key_header, models)
    by_request = _buckets(state, "x-request-id", models)
    questions = [
        *named,
        _when(_present("x-variant"), _leaf(unknown)),
        _when(_header(experiment.key_header, _exact("")), by_request),
        _when(_present(experiment.key_header), by_key),
    ]
    tree = {"matcher": {"matcher_list": {"matchers": questions}, "on_no_match": by_request}}
    paths = [f"/{verb}/{experiment.name}" for verb in VERBS]
    # Exact, or with a query: a regular expression would say it in one, but Envoy calls them deprecated here.
    asked = [_header(":path", match) for path in paths for match in (_exact(path), {"prefix": f"{path}?"})]
    either = {"or_matcher": {"predicate": [{"single_predicate": each} for each in asked]}}
    return {"predicate": either, "on_match": tree}


def _buckets(state: State, key: str, models: Models) -> Json:
    """The split, from its last run of buckets down: each asks whether the key's bucket is at or beyond its first."""
    experiment, split = state.experiment, state.split
    leaves = {variant.name: _leaf(chosen(experiment, variant, models)) for variant in experiment.variants}
    matchers = [_when(_bucket(experiment, key, first), leaves[name]) for first, name in reversed(split[1:])]
    first = leaves[split[0][1]]
    return {"matcher": {"matcher_list": {"matchers": matchers}, "on_no_match": first}} if matchers else first


def _bucket(experiment: Experiment, key: str, first: int) -> Json:
    """xxHash64(key, seed) % BUCKETS >= first."""
    return _hashed(key, threshold=first, modulo=BUCKETS, seed=str(experiment.seed))


def _present(name: str) -> Json:
    """Every hash is at least 0, but a header that is not there has none."""
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


def _leaf(route: Json) -> Json:
    return {"action": {"name": "route", "typed_config": typed("config.route.v3.Route", **route)}}
