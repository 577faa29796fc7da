"""Fallback: a variant fails, or the control does."""

import pytest

from marina.serving.envoy.route_state import ModelRouteState, VersionRouteState
from tests.experiments.routing.envoy_instance import A, B, experiment, state


@pytest.mark.parametrize("failure", ["error", "unready", "unknown", "silent", "silent stream"])
def test_the_control_responds_for_a_failed_variant(envoy, failure):
    envoy.publish(state(experiment()))
    responses = envoy.users(200)
    of_b = [number for number, response in enumerate(responses) if response.variant == B]
    assert of_b
    match failure:
        case "error":
            envoy.upstream.statuses["b/2.0"] = 503
        case "unready":
            envoy.route_states["b"] = ModelRouteState("2.0", {"2.0": VersionRouteState(20, (503, "not ready"))})
        case "unknown":
            envoy.route_states.pop("b")
        case "silent" | "silent stream":
            envoy.upstream.delays["b/2.0"] = 30
            short = VersionRouteState(-4, streams="stream" in failure)  # the deadline, with its grace: one second
            envoy.route_states |= {
                "a": ModelRouteState("1.0", {"1.0": short}),
                "b": ModelRouteState("2.0", {"2.0": short}),
            }
    envoy.publish(state(experiment()))
    users = of_b[:3] if failure.startswith("silent") else range(200)
    again = envoy.send([{"x-user-id": f"user-{number}"} for number in users], "/predictions/digits?top=3")
    for number, response in zip(users, again, strict=True):
        assert response.status == 200
        assert (response.variant, response.headers["x-model-version"]) == (A, "1.0")
        assert response.source == ("fallback" if number in of_b else "split")
        assert response.json["path"] == "/predictions/a/1.0?top=3"
    lines = envoy.exposures(200 + len(again))[200:]
    assert {(line["assigned"], line["variant"], line["source"]) for line in lines} >= {(B, A, "fallback")}


def test_a_failing_control_returns_its_own_error(envoy):
    envoy.publish(state(experiment()))
    envoy.upstream.statuses["a/1.0"] = 500
    responses = envoy.users(100)
    assert {(response.variant, response.status) for response in responses} == {(A, 500), (B, 200)}
    envoy.route_states["a"] = ModelRouteState("1.0", {"1.0": VersionRouteState(20, (503, "a 1.0 is not ready: why"))})
    envoy.publish(state(experiment()))
    responses = envoy.users(100)
    assert {(response.variant, response.status) for response in responses} == {(A, 503), (B, 200)}
    assert {response.json["message"] for response in responses if response.status == 503} == {"a 1.0 is not ready: why"}


def test_a_large_body_is_sent_whole_to_the_fallback(envoy):
    envoy.publish(state(experiment().with_weights({A: 0, B: 100})))
    envoy.upstream.statuses["b/2.0"] = 500
    (response,) = envoy.send([{}], body=b"x" * 20_000_000)
    assert (response.status, response.source, response.json["bytes"]) == (200, "fallback", 20_000_000)
