"""Matcher tree of running experiments: their paths, and the variant of a request."""

import pytest

from marina.experiments.routing.matcher_tree import route_extension
from marina.experiments.routing.variant_routes import header_routes, inner_routes, split_routes
from marina.experiments.split import rebalance
from marina.serving.envoy.config import typed
from marina.serving.envoy.route_state import ModelRouteState, Upstream, VersionRouteState
from tests.experiments.routing.envoy_instance import A, B, experiment, state

MODELS = {
    name: ModelRouteState(version, {version: VersionRouteState(20)}) for name, version in (("a", "1.0"), ("b", "2.0"))
}
HASHING = "extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing"


def value(name: str) -> dict:
    return {"name": "header", "typed_config": typed("type.matcher.v3.HttpRequestHeaderMatchInput", header_name=name)}


def hashed(name: str, **fields) -> dict:
    custom = {"name": "consistent_hashing", "typed_config": typed(HASHING, **fields)}
    return {"single_predicate": {"input": value(name), "custom_match": custom}}


def exact(name: str, text: str) -> dict:
    return {"single_predicate": {"input": value(name), "value_match": {"exact": text}}}


def leaf(route: dict) -> dict:
    return {"action": {"name": "route", "typed_config": typed("config.route.v3.Route", **route)}}


def buckets(it, key: str, *runs: tuple[int, str], seed: str = "7") -> dict:
    """Return the matchers of the runs after the first one, the last run first."""
    matchers = [
        {
            "predicate": hashed(key, threshold=first, modulo=10_000, seed=seed),
            "on_match": leaf(split_routes(it, it.variant(name), MODELS)[-1]),
        }
        for first, name in runs
    ]
    return {
        "matcher": {
            "matcher_list": {"matchers": matchers},
            "on_no_match": leaf(split_routes(it, it.variant(A), MODELS)[-1]),
        }
    }


def matchers_of(result) -> tuple[list[dict], dict]:
    """Return the matchers of the only experiment in order, and the action where none matches."""
    (matcher,) = result.matchers
    tree = matcher["on_match"]["matcher"]
    return tree["matcher_list"]["matchers"], tree["on_no_match"]


def test_the_paths_of_an_experiment_are_its_own_with_or_without_a_query():
    (matcher,) = route_extension([state(experiment())], MODELS).matchers
    conditions = [
        {"single_predicate": {"input": value(":path"), "value_match": match}}
        for verb in ("predictions", "explanations")
        for match in ({"exact": f"/{verb}/digits"}, {"prefix": f"/{verb}/digits?"})
    ]
    assert matcher["predicate"] == {"or_matcher": {"predicate": conditions}}
    assert set(matcher) == {"predicate", "on_match"}


def test_a_request_names_a_variant_or_has_a_key_or_is_split_by_its_id():
    it = experiment(key_header="X-Session")
    by_key, by_request = (buckets(it, key, (9000, B)) for key in ("x-session", "x-request-id"))
    message = f"X-Variant names none of the variants of digits: {A}, {B}"
    unknown = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 400, "body": {"inline_string": message}},
    }
    conditions, otherwise = matchers_of(route_extension([state(it)], MODELS))
    assert conditions == [
        *(
            {"predicate": exact("x-variant", name), "on_match": leaf(header_routes(it.variant(name), MODELS)[-1])}
            for name in (A, B)
        ),
        {"predicate": hashed("x-variant", threshold=0, modulo=1), "on_match": leaf(unknown)},
        {"predicate": exact("x-session", ""), "on_match": by_request},
        {"predicate": hashed("x-session", threshold=0, modulo=1), "on_match": by_key},
    ]
    assert otherwise == by_request


def test_runs_of_buckets_are_matched_last_first():
    first = state(experiment(seed=2**62))
    moved = first.model_copy(update={"split": rebalance(rebalance(first.split, {A: 80, B: 20}), {A: 90, B: 10})})
    assert moved.split == ((0, A), (8000, B), (9000, A))
    _, by_request = matchers_of(route_extension([moved], MODELS))
    assert by_request == buckets(first.experiment, "x-request-id", (9000, A), (8000, B), seed=str(2**62))


def test_a_variant_with_all_traffic_needs_no_bucket():
    it = experiment().with_weights({A: 100})
    _, by_request = matchers_of(route_extension([state(it)], MODELS))
    assert by_request == leaf(split_routes(it, it.variant(A), MODELS)[-1])


def test_upstreams_mirrors_and_inner_routes_are_those_of_all_that_run():
    one, two = experiment(mirror={"to": B, "percent": 1}), experiment("second.one")
    result = route_extension([state(one), state(two), state(experiment("third"), running=False)], MODELS)
    assert result.upstreams == [
        Upstream(f"digits/{A}", "a_1_0__digits", "a", "1.0", backup=False),
        Upstream(f"digits/{B}", "b_2_0__digits", "b", "2.0", backup=True),
        Upstream(f"second.one/{A}", "a_1_0__second_one", "a", "1.0", backup=False),
        Upstream(f"second.one/{B}", "b_2_0__second_one", "b", "2.0", backup=True),
    ]
    assert result.mirrors == ["mirror/digits"]
    assert result.inner == inner_routes(one, MODELS) + inner_routes(two, MODELS)
    assert len(result.matchers) == 2


@pytest.mark.parametrize("states", [[], [state(experiment(), running=False)]])
def test_without_a_running_experiment_there_is_nothing(states):
    result = route_extension(states, MODELS)
    assert (result.matchers, result.upstreams, result.mirrors, result.inner) == ([], [], [], [])
