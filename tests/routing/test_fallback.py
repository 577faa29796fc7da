"""What happens when a variant fails, and when the control does."""

import pytest

from serving.views import ModelView, VersionView
from tests.routing.rig import A, B, experiment, state


@pytest.mark.parametrize("fault", ["error", "unready", "unknown", "silent", "silent stream"])
def test_a_variant_that_fails_is_answered_by_the_control_and_marked(rig, fault):
    rig.publish(state(experiment()))
    replies = rig.users(200)
    of_b = [number for number, reply in enumerate(replies) if reply.variant == B]
    assert of_b
    match fault:
        case "error":
            rig.upstream.statuses["b/2.0"] = 503
        case "unready":
            rig.views["b"] = ModelView("2.0", {"2.0": VersionView(20, (503, "not ready"))})
        case "unknown":
            rig.views.pop("b")
        case "silent" | "silent stream":
            rig.upstream.delays["b/2.0"] = 30
            short = VersionView(-4, streams="stream" in fault)  # the deadline, with its grace: one second
            rig.views |= {"a": ModelView("1.0", {"1.0": short}), "b": ModelView("2.0", {"2.0": short})}
    rig.publish(state(experiment()))
    asked = of_b[:3] if fault.startswith("silent") else range(200)
    again = rig.ask([{"x-user-id": f"user-{number}"} for number in asked], "/predictions/digits?top=3")
    for number, reply in zip(asked, again, strict=True):
        assert reply.status == 200
        assert (reply.variant, reply.headers["x-model-version"]) == (A, "1.0")
        assert reply.source == ("fallback" if number in of_b else "split")
        assert reply.json["path"] == "/predictions/a/1.0?top=3"
    lines = rig.exposures(200 + len(again))[200:]
    assert {(line["assigned"], line["variant"], line["source"]) for line in lines} >= {(B, A, "fallback")}


def test_a_failing_control_says_so_itself(rig):
    rig.publish(state(experiment()))
    rig.upstream.statuses["a/1.0"] = 500
    replies = rig.users(100)
    assert {(reply.variant, reply.status) for reply in replies} == {(A, 500), (B, 200)}
    rig.views["a"] = ModelView("1.0", {"1.0": VersionView(20, (503, "a 1.0 is not ready: why"))})
    rig.publish(state(experiment()))
    replies = rig.users(100)
    assert {(reply.variant, reply.status) for reply in replies} == {(A, 503), (B, 200)}
    assert {reply.json["message"] for reply in replies if reply.status == 503} == {"a 1.0 is not ready: why"}


def test_a_large_body_falls_back_whole(rig):
    rig.publish(state(experiment().weighed({A: 0, B: 100})))
    rig.upstream.statuses["b/2.0"] = 500
    (reply,) = rig.ask([{}], body=b"x" * 20_000_000)
    assert (reply.status, reply.source, reply.json["bytes"]) == (200, "fallback", 20_000_000)
