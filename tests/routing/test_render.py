"""The overlay of running experiments: which paths are theirs, and how a request finds its variant."""

import pytest

from routing.leaves import chosen, explicit, inner_routes
from routing.render import overlay
from routing.split import change
from serving.clusters import Upstream
from serving.envoy import typed
from serving.views import ModelView, VersionView
from tests.routing.rig import A, B, experiment, state

MODELS = {name: ModelView(version, {version: VersionView(20)}) for name, version in (("a", "1.0"), ("b", "2.0"))}
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
    """Runs beyond the first, the last one first."""
    matchers = [
        {
            "predicate": hashed(key, threshold=first, modulo=10_000, seed=seed),
            "on_match": leaf(chosen(it, it.variant(name), MODELS)),
        }
        for first, name in runs
    ]
    return {"matcher": {"matcher_list": {"matchers": matchers}, "on_no_match": leaf(chosen(it, it.variant(A), MODELS))}}


def questions(found) -> tuple[list[dict], dict]:
    """Of the only experiment: its questions in order, and what happens where none applies."""
    (matcher,) = found.matchers
    tree = matcher["on_match"]["matcher"]
    return tree["matcher_list"]["matchers"], tree["on_no_match"]


def test_the_paths_of_an_experiment_are_its_own_with_or_without_a_query():
    (matcher,) = overlay([state(experiment())], MODELS).matchers
    asked = [
        {"single_predicate": {"input": value(":path"), "value_match": match}}
        for verb in ("predictions", "explanations")
        for match in ({"exact": f"/{verb}/digits"}, {"prefix": f"/{verb}/digits?"})
    ]
    assert matcher["predicate"] == {"or_matcher": {"predicate": asked}}
    assert set(matcher) == {"predicate", "on_match"}


def test_a_request_names_a_variant_or_has_a_key_or_is_split_by_its_id():
    it = experiment(key_header="X-Session")
    by_key, by_request = (buckets(it, key, (9000, B)) for key in ("x-session", "x-request-id"))
    message = f"X-Variant names none of the variants of digits: {A}, {B}"
    unknown = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 400, "body": {"inline_string": message}},
    }
    asked, otherwise = questions(overlay([state(it)], MODELS))
    assert asked == [
        *(
            {"predicate": exact("x-variant", name), "on_match": leaf(explicit(it.variant(name), MODELS))}
            for name in (A, B)
        ),
        {"predicate": hashed("x-variant", threshold=0, modulo=1), "on_match": leaf(unknown)},
        {"predicate": exact("x-session", ""), "on_match": by_request},
        {"predicate": hashed("x-session", threshold=0, modulo=1), "on_match": by_key},
    ]
    assert otherwise == by_request


def test_a_split_of_several_runs_is_asked_from_its_end():
    first = state(experiment(seed=2**62))
    moved = first.model_copy(update={"split": change(change(first.split, {A: 80, B: 20}), {A: 90, B: 10})})
    assert moved.split == ((0, A), (8000, B), (9000, A))
    _, by_request = questions(overlay([moved], MODELS))
    assert by_request == buckets(first.experiment, "x-request-id", (9000, A), (8000, B), seed=str(2**62))


def test_a_variant_that_has_everything_needs_no_bucket():
    it = experiment().weighed({A: 100})
    _, by_request = questions(overlay([state(it)], MODELS))
    assert by_request == leaf(chosen(it, it.variant(A), MODELS))


def test_upstreams_mirrors_and_inner_routes_are_those_of_all_that_run():
    one, two = experiment(mirror={"to": B, "percent": 1}), experiment("second.one")
    found = overlay([state(one), state(two), state(experiment("third"), running=False)], MODELS)
    assert found.upstreams == [
        Upstream(f"digits/{A}", "a_1_0__digits", "a", "1.0", backup=False),
        Upstream(f"digits/{B}", "b_2_0__digits", "b", "2.0", backup=True),
        Upstream(f"second.one/{A}", "a_1_0__second_one", "a", "1.0", backup=False),
        Upstream(f"second.one/{B}", "b_2_0__second_one", "b", "2.0", backup=True),
    ]
    assert found.mirrors == ["mirror/digits"]
    assert found.inner == inner_routes(one, MODELS) + inner_routes(two, MODELS)
    assert len(found.matchers) == 2


@pytest.mark.parametrize("states", [[], [state(experiment(), running=False)]])
def test_without_a_running_experiment_there_is_nothing(states):
    found = overlay(states, MODELS)
    assert (found.matchers, found.upstreams, found.mirrors, found.inner) == ([], [], [], [])
