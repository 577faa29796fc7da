"""Routes to a variant, to the control when it fails, and to a mirror."""

import pytest

from marina.experiments.routing.variant_routes import header_routes, inner_routes, split_routes
from marina.serving.envoy.config import header_additions, header_match, typed
from marina.serving.envoy.route_state import ModelRouteState, VersionRouteState
from tests.experiments.routing.envoy_instance import A, B, experiment

OVERWRITE = "OVERWRITE_IF_EXISTS_OR_ADD"
NOT_READY = {"status": 503, "body": {"inline_string": "not ready"}}
GONE = {"status": 503, "body": {"inline_string": "b 2.0 is not served"}}


def models(a: VersionRouteState = VersionRouteState(20), b: VersionRouteState = VersionRouteState(30)):  # noqa: B008 - frozen
    return {"a": ModelRouteState("1.0", {"1.0": a}), "b": ModelRouteState("2.0", {"2.0": b})}


def rewritten(path: str) -> dict:
    return {"pattern": {"regex": "^/(predictions|explanations)/[^?]*"}, "substitution": rf"/\1/{path}"}


def response(variant: str, source: str, action: str = OVERWRITE) -> list:
    version = variant.partition("@")[2]
    return header_additions({"x-variant": variant, "x-variant-source": source, "x-model-version": version}, action)


def marks(variant: str, name: str = "digits") -> list:
    named = {
        "x-marina-experiment": name,
        "x-marina-exposure": "%UNIQUE_ID%",
        "x-marina-variant": variant,
        "x-marina-key": "%REQ(X-User-Id)%",
    }
    return header_additions(named, OVERWRITE)


HIDDEN = header_additions(
    {
        "x-marina-content-type": "%REQ(X-MARINA-CONTENT-TYPE?CONTENT-TYPE)%",
        "content-type": "application/octet-stream",
    },
    OVERWRITE,
)


def once(retry_on: str = "connect-failure,refused-stream,reset-before-request") -> dict:
    return {"num_retries": 1, "retry_on": retry_on}


OTHER_HOST = {
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
        }
    ],
    "host_selection_retry_max_attempts": 20,
}


def backed_up(nodes: int, **limit: str) -> dict:
    """Return the retry policy of a variant with the control as backup."""
    previous = typed(
        "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig", update_frequency=nodes
    )
    return {
        "retry_on": "5xx,reset,connect-failure,refused-stream",
        "num_retries": nodes,
        "retry_priority": {"name": "envoy.retry_priorities.previous_priorities", "typed_config": previous},
        **OTHER_HOST,
        **limit,
    }


def test_the_control_has_no_backup():
    assert split_routes(experiment(), experiment().variant(A), models())[-1] == {
        "match": {"prefix": "/"},
        "route": {
            "cluster": f"digits/{A}",
            "timeout": "25s",
            "idle_timeout": "25s",
            "retry_policy": once(),
            "regex_rewrite": rewritten("a/1.0"),
        },
        "request_headers_to_add": [*marks(A), *HIDDEN],
        "response_headers_to_add": response(A, "split", "ADD_IF_ABSENT"),
    }


def test_with_a_key_the_responses_carry_a_signed_token():
    plain, signing = (split_routes(experiment(), experiment().variant(A), models(), key)[-1] for key in (None, "6b6b"))
    token = signing.pop("typed_per_filter_config")["marina.feedback_token"]
    assert token["filter_context"] == {"experiment": "digits", "key": "6b6b"}
    *rest, claims = signing.pop("response_headers_to_add")
    assert rest == plain.pop("response_headers_to_add")
    assert claims["header"]["key"] == "x-feedback-token"
    assert signing == plain
    held = models(a=VersionRouteState(20, hold=True))
    (held_route,) = split_routes(experiment(), experiment().variant(A), held, "6b6b")[-1:]
    assert len(held_route["typed_per_filter_config"]) == 2


def test_a_treatment_s_timeout_includes_the_control_s():
    assert split_routes(experiment(), experiment().variant(B), models())[-1] == {
        "match": {"prefix": "/"},
        "route": {
            "cluster": f"digits/{B}",
            "timeout": "60s",  # 30 and 5 of its own, 20 and 5 of the control's
            "idle_timeout": "60s",
            "retry_policy": backed_up(1, per_try_timeout="35s"),
            "regex_rewrite": rewritten("b/2.0"),
        },
        "request_headers_to_add": [*marks(B), *HIDDEN],
        "response_headers_to_add": response(B, "split", "ADD_IF_ABSENT"),
    }


def test_each_try_lasts_as_long_as_the_slower_of_the_two():
    route = split_routes(experiment(), experiment().variant(B), models(a=VersionRouteState(90)))[-1]["route"]
    assert (route["timeout"], route["retry_policy"]["per_try_timeout"]) == ("130s", "95s")


def test_a_stream_has_an_idle_timeout():
    route = split_routes(experiment(), experiment().variant(B), models(b=VersionRouteState(30, streams=True)))[-1][
        "route"
    ]
    assert (route["timeout"], route["idle_timeout"]) == ("0s", "60s")
    assert route["retry_policy"] == backed_up(1, per_try_idle_timeout="35s")
    route = split_routes(experiment(), experiment().variant(A), models(a=VersionRouteState(20, streams=True)))[-1][
        "route"
    ]
    assert (route["timeout"], route["idle_timeout"]) == ("0s", "25s")


def test_of_several_nodes_another_one_is_tried_before_the_control():
    has_peers = VersionRouteState(30, has_peers=True)
    route = split_routes(experiment(), experiment().variant(B), models(b=has_peers))[-1]["route"]
    assert route["retry_policy"] == backed_up(2, per_try_timeout="35s")
    route = split_routes(experiment(), experiment().variant(A), models(a=has_peers))[-1]["route"]
    assert route["retry_policy"] == once("connect-failure,refused-stream,reset,gateway-error") | OTHER_HOST


def test_requests_are_delayed_while_a_version_drains():
    for name, route_states in (
        (A, models(a=VersionRouteState(20, hold=True))),
        (B, models(b=VersionRouteState(30, hold=True))),
    ):
        assert "typed_per_filter_config" in split_routes(experiment(), experiment().variant(name), route_states)[-1]
        assert "typed_per_filter_config" not in split_routes(experiment(), experiment().variant(name), models())[-1]


def test_a_control_that_is_not_ready_refuses_and_a_treatment_goes_to_the_backup():
    closed = VersionRouteState(20, (503, "not ready"))
    it = experiment()
    assert split_routes(it, it.variant(A), models(a=closed))[-1] == {
        "match": {"prefix": "/"},
        "direct_response": NOT_READY,
        "request_headers_to_add": marks(A),
        "response_headers_to_add": response(A, "split", "ADD_IF_ABSENT"),
    }
    assert split_routes(it, it.variant(B), models(b=closed))[-1]["route"]["cluster"] == f"digits/{B}"
    assert split_routes(it, it.variant(B), {})[-1]["route"]["timeout"] == "10s"


def test_the_key_is_the_value_of_the_key_header():
    it = experiment(key_header="X-Session")
    added = split_routes(it, it.variant(B), models())[-1]["request_headers_to_add"][: -len(HIDDEN)]
    assert [each["header"]["value"] for each in added] == [*("digits", "%UNIQUE_ID%", B, "%REQ(X-Session)%")]


@pytest.mark.parametrize(("percent", "numerator"), [(20, 200_000), (0.0001, 1), (100, 1_000_000), (0.00016, 2)])
def test_a_mirror_gets_copies_of_a_share(percent, numerator):
    it = experiment(mirror={"to": B, "percent": percent})
    assert split_routes(it, it.variant(A), models())[-1]["route"]["request_mirror_policies"] == [
        {
            "cluster": "mirror/digits",
            "runtime_fraction": {"default_value": {"numerator": numerator, "denominator": "MILLION"}},
            "request_headers_mutations": [
                {"append": mark} for mark in header_additions({"x-marina-mirror": B}, OVERWRITE)
            ],
        }
    ]
    assert "request_mirror_policies" not in split_routes(it, it.variant(B), models())[-1]["route"]  # not to itself


def test_a_variant_named_by_header_has_neither_split_nor_backup():
    it = experiment(mirror={"to": A, "percent": 100})
    assert header_routes(it.variant(B), models())[-1] == {
        "match": {"prefix": "/"},
        "route": {
            "cluster": B,
            "timeout": "35s",
            "idle_timeout": "35s",
            "retry_policy": once(),
            "regex_rewrite": rewritten("b/2.0"),
        },
        "request_headers_to_add": HIDDEN,
        "response_headers_to_add": response(B, "header"),
    }
    assert header_routes(it.variant(B), models(b=VersionRouteState(30, (503, "not ready"))))[-1] == {
        "match": {"prefix": "/"},
        "direct_response": NOT_READY,
        "response_headers_to_add": response(B, "header"),
    }


def test_failed_requests_go_to_the_control():
    mine = header_match("x-marina-experiment", "digits")
    assert inner_routes(experiment(), models()) == [
        {
            "match": {"prefix": "/", "headers": [mine]},
            "route": {
                "cluster": A,
                "timeout": "25s",
                "idle_timeout": "25s",
                "retry_policy": once(),
                "regex_rewrite": rewritten("a/1.0"),
            },
            "request_headers_to_add": HIDDEN,
            "response_headers_to_add": response(A, "fallback"),
        }
    ]
    (route,) = inner_routes(experiment(), models(a=VersionRouteState(20, (503, "not ready"))))
    assert route == {
        "match": {"prefix": "/", "headers": [mine]},
        "direct_response": NOT_READY,
        "response_headers_to_add": response(A, "fallback"),
    }


def test_copies_go_to_the_version_of_the_mirror():
    it = experiment(mirror={"to": B, "percent": 20})
    match = {
        "prefix": "/",
        "headers": [header_match("x-marina-experiment", "digits"), header_match("x-marina-mirror", B)],
    }
    copy, fallback = inner_routes(it, models())
    assert copy == {
        "match": match,
        "route": {
            "cluster": B,
            "timeout": "35s",
            "idle_timeout": "35s",
            "retry_policy": once(),
            "regex_rewrite": rewritten("b/2.0"),
        },
        "request_headers_to_add": HIDDEN,
        "response_headers_to_add": response(B, "mirror"),
    }
    assert fallback == inner_routes(experiment(), models())[0]
    copy, _ = inner_routes(it, {"a": models()["a"]})
    assert copy == {"match": match, "direct_response": GONE, "response_headers_to_add": response(B, "mirror")}


def test_names_are_quoted_in_paths():
    it = experiment(mirror={"to": "a b@c@1 2", "percent": 1})
    copy, _ = inner_routes(it, {"a b@c": ModelRouteState("1 2", {"1 2": VersionRouteState(20)})})
    assert copy["route"]["regex_rewrite"] == rewritten("a%20b%40c/1%202")
    assert copy["route"]["cluster"] == "a b@c@1 2"


FOREIGN = VersionRouteState(30, has_card=False)


def conditions(route: dict) -> list[str]:
    """Return the headers that a route matches, each with the text that it contains."""
    matches = route["match"].get("headers", [])
    return [
        f"{one['name']}: {one['string_match']['contains']}"
        for one in matches
        if "contains" in one.get("string_match", {})
    ]


def test_a_foreign_variant_refuses_forms_and_gets_the_content_type_as_sent():
    for routes in (
        split_routes(experiment(), experiment().variant(B), models(b=FOREIGN)),
        header_routes(experiment().variant(B), models(b=FOREIGN)),
    ):
        *refusals, route = routes
        assert [conditions(one) for one in refusals] == [["content-type: form-data"], ["content-type: form-urlencoded"]]
        assert {one["direct_response"]["status"] for one in refusals} == {415}
        assert "content-type" not in [each["header"]["key"] for each in route.get("request_headers_to_add", [])]


def test_a_foreign_fallback_gets_a_hidden_content_type_back_and_refuses_hidden_forms():
    it = experiment(mirror={"to": B, "percent": 20})
    *refusals, copy, fallback = inner_routes(it, models(b=FOREIGN))
    assert {conditions(one)[0].partition(":")[0] for one in refusals} == {"content-type", "x-marina-content-type"}
    assert copy["request_headers_to_add"] == [{**HIDDEN[0], "header": {**HIDDEN[0]["header"], "key": "content-type"}}]
    assert fallback["request_headers_to_add"] == HIDDEN
