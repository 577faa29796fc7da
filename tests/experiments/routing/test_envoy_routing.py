"""Routing of an experiment in a real Envoy: variants, response headers and log."""

import socket
import time
import uuid
from collections import Counter
from math import sqrt

import pytest
import xxhash

from marina.errors import MarinaError
from marina.experiments.feedback_token import Claims, verify
from marina.experiments.routing.matcher_tree import route_extension
from marina.experiments.split import BUCKETS, bucket_owners, rebalance
from marina.serving.envoy import gateway
from marina.serving.envoy.route_state import ModelRouteState, VersionRouteState
from tests.experiments.routing.envoy_instance import KEY, A, B, EnvoyInstance, experiment, state, temporary_envoy

USERS = 10_000


def variants(envoy: EnvoyInstance, count: int) -> list[str]:
    responses = envoy.users(count)
    assert {response.status for response in responses} == {200}
    return [response.variant for response in responses]


def test_replicas_split_alike_and_few_users_move(envoy, tmp_path):
    before = state(experiment())
    envoy.publish(before)
    first = variants(envoy, USERS)
    assert abs(first.count(B) - USERS / 10) <= 3 * sqrt(USERS * 0.1 * 0.9)
    with temporary_envoy(tmp_path / "other") as replica:
        replica.publish(before)
        assert variants(replica, USERS) == first
    envoy.stop()
    after = before.model_copy(
        update={
            "split": rebalance(before.split, {A: 80, B: 20}),
            "experiment": before.experiment.with_weights({A: 80, B: 20}),
        }
    )
    envoy.publish(after)  # a new Envoy process, too
    moved = Counter(zip(first, variants(envoy, USERS), strict=True))
    assert 0.09 <= moved[A, B] / USERS <= 0.11
    assert moved[B, A] == 0


def test_the_bucket_is_the_documented_hash(envoy):
    """Others can compute the variant of a user: xxHash64(key, seed) % 10,000."""
    it = state(experiment())
    envoy.publish(it)
    owners = bucket_owners(it.split)
    expected = [owners[xxhash.xxh64(f"user-{number}".encode(), seed=7).intdigest() % BUCKETS] for number in range(500)]
    assert variants(envoy, 500) == expected


def test_three_variants_and_two_experiments_with_seeds_of_their_own(envoy):
    envoy.route_states["c"] = ModelRouteState("1", {"1": VersionRouteState(20)})
    weights = [{"model": "a", "version": "1.0", "weight": 50}, {"model": "b", "version": "2.0", "weight": 30}]
    three = experiment(variants=[*weights, {"model": "c", "version": "1", "weight": 20}])
    envoy.publish(state(three), state(experiment("other", variants=three.variants, seed=8)))
    first = envoy.users(3000)
    shares = Counter(response.variant for response in first)
    for name, share in three.weights.items():
        assert abs(shares[name] - 30 * share) <= 3 * sqrt(3000 * share / 100 * (1 - share / 100))
    other = envoy.send([{"x-user-id": f"user-{number}"} for number in range(3000)], "/predictions/other")
    both = sum(one.variant == two.variant for one, two in zip(first, other, strict=True))
    assert both / 3000 == pytest.approx(0.5**2 + 0.3**2 + 0.2**2, abs=0.04)  # independent of each other


def test_without_a_key_the_request_id_decides_the_variant(envoy):
    envoy.publish(state(experiment()))
    names = [str(uuid.UUID(int=number)) for number in range(2000)]
    responses = envoy.send([{"x-request-id": name} for name in names])
    assert [response.headers["x-request-id"] for response in responses] == names
    assert abs(sum(response.variant == B for response in responses) - 200) <= 3 * sqrt(2000 * 0.09)
    by_version = {
        (response.variant, response.headers["x-model-version"], response.json["path"]) for response in responses
    }
    assert by_version == {(A, "1.0", "/predictions/a/1.0"), (B, "2.0", "/predictions/b/2.0")}
    assert {response.source for response in responses} == {"split"}
    again = envoy.send([{"x-request-id": name} for name in names])
    assert [response.variant for response in again] == [response.variant for response in responses]
    empty = envoy.send([{"x-request-id": name, "x-user-id": ""} for name in names])
    assert [response.variant for response in empty] == [response.variant for response in responses]
    (bare,) = envoy.send([{}])
    assert uuid.UUID(bare.headers["x-request-id"])


def test_path_and_header_bypass_the_split(envoy):
    envoy.publish(state(experiment("a")))
    (response,) = envoy.send([{}], "/predictions/b/2.0?top=1")
    assert (response.variant, response.source, response.json["path"]) == (B, "path", "/predictions/b/2.0?top=1")
    for response in envoy.send([{"x-variant": B, "x-user-id": f"{n}"} for n in range(20)], "/explanations/a?top=2"):
        assert (response.variant, response.source, response.json["path"]) == (B, "header", "/explanations/b/2.0?top=2")
    (refused,) = envoy.send([{"x-variant": "c"}], "/predictions/a")
    assert refused.status == 400
    assert refused.json["message"] == f"X-Variant names none of the variants of a: {A}, {B}"
    (plain,) = envoy.send([{}], "/predictions/b")
    assert (plain.headers["x-model-version"], plain.headers["x-variant"]) == ("2.0", None)


def test_every_request_of_an_experiment_is_logged(envoy):
    envoy.publish(state(experiment()))
    responses = [*envoy.users(50), *envoy.send([{}] * 5)]
    envoy.send([{"x-variant": B}], body=b"{}")
    envoy.send([{"x-marina-experiment": "digits"}], "/predictions/a/1.0")  # nobody can forge one
    lines = envoy.exposures(55)
    assert len(lines) == 55
    by_id = {line["request_id"]: line for line in lines}
    for number, response in enumerate(responses):
        line = by_id[response.headers["x-request-id"]]
        assert (line["experiment"], line["assigned"], line["variant"]) == ("digits", response.variant, response.variant)
        assert (line["status"], line["source"], line["mirror"]) == (200, "split", None)
        assert line["key"] == (f"user-{number}" if number < 50 else None)
        assert line["prediction"] == "%7B%22label%22%3A%20%227%22%7D"
        assert 0 < line["microseconds"] < 60_000_000
        assert float(line["time"]) > 1.7e9
        assert line["client"] == "127.0.0.1"
        claims = verify(response.headers["x-feedback-token"], line["request_id"], [KEY])
        assert claims == Claims("digits", line["id"], int(float(line["time"])), line["request_id"])


def test_each_response_has_a_token_of_its_own(envoy):
    """Whatever the client sends; a repeated request id does not make two requests one, nor does a made-up exposure."""
    envoy.publish(state(experiment()))
    forged = {"x-request-id": "ada-1", "x-marina-exposure": "mine", "x-feedback-token": "mine"}
    replies = envoy.send([forged, forged, {"x-request-id": "a" * 300}])
    claims = [verify(reply.headers["x-feedback-token"], reply.headers["x-request-id"], [KEY]) for reply in replies]
    assert len({claim.exposure for claim in claims} - {"mine"}) == 3
    assert {line["id"] for line in envoy.exposures(3)} == {claim.exposure for claim in claims}
    for path, sent in (("/predictions/b/2.0", forged), ("/predictions/digits", {**forged, "x-variant": B})):
        assert envoy.send([sent], path)[0].headers["x-feedback-token"] is None
    envoy.route_states["a"] = ModelRouteState("1.0", {"1.0": VersionRouteState(20, (503, "closed"))})
    envoy.publish(state(experiment().with_weights({A: 100, B: 0})))
    refused = envoy.send([forged])[0]
    assert (refused.status, refused.headers["x-feedback-token"]) == (503, None)


def test_a_slow_client_does_not_make_a_variant_slow(envoy):
    """Neither what it takes to send the request counts, nor to read the response."""
    envoy.publish(state(experiment()))
    envoy.upstream.delays["a/1.0"] = envoy.upstream.delays["b/2.0"] = 0.1
    with socket.create_connection(("127.0.0.1", envoy.settings.port)) as client:
        client.sendall(b"POST /predictions/digits HTTP/1.1\r\nhost: m\r\ncontent-length: 2\r\n\r\n{")
        time.sleep(1.5)
        client.sendall(b"}")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
    (line,) = envoy.exposures(1)
    assert 100_000 <= line["microseconds"] < 1_000_000


def test_a_share_is_mirrored_and_a_hung_mirror_blocks_nobody(envoy):
    envoy.publish(state(experiment(mirror={"to": B, "percent": 20}).with_weights({A: 100, B: 0})))
    responses = envoy.users(4000)
    assert {(response.status, response.variant, response.source) for response in responses} == {(200, A, "split")}
    lines = envoy.exposures(4000 + 640)
    copies = [line for line in lines if line["mirror"]]
    assert 0.18 <= len(copies) / 4000 <= 0.22
    assert {(copy["mirror"], copy["variant"], copy["status"]) for copy in copies} == {(B, B, 200)}
    live = {line["request_id"] for line in lines if not line["mirror"]}
    assert {copy["request_id"] for copy in copies} <= live
    assert envoy.upstream.counts["b/2.0"] >= len(copies)
    envoy.upstream.delays["b/2.0"] = 10
    again = envoy.users(1000)  # would take minutes, if anyone waited
    assert {(response.status, response.variant) for response in again} == {(200, A)}
    assert envoy.upstream.counts["b/2.0"] <= len(copies) + 64  # the rest of the copies was not let through


def test_a_ready_version_gets_requests_at_once(envoy):
    """Control checks this machine itself: Envoy's own health check would let the first requests fail."""
    envoy.upstream.liveness = 503
    envoy.publish(state(experiment()))
    assert {response.status for response in envoy.users(50)} == {200}
    assert {response.source for response in envoy.users(50)} == {"split"}


def test_stopped_experiments_are_gone(envoy):
    envoy.publish(state(experiment()), state(experiment("a"), running=False))
    assert envoy.send([{}], "/predictions/a")[0].headers["x-variant"] is None
    envoy.publish(state(experiment(), running=False))
    assert envoy.send([{}])[0].json["path"] == "/predictions/digits"  # as if it had never been


def test_envoy_validates_routes(envoy):
    envoy.publish()
    gateway.validate(
        envoy.settings,
        envoy.route_states,
        route_extension([state(experiment(mirror={"to": B, "percent": 1}))], envoy.route_states),
    )
    bad = experiment().model_copy(update={"seed": -1})
    with pytest.raises(MarinaError, match="Envoy would refuse this"):
        gateway.validate(envoy.settings, envoy.route_states, route_extension([state(bad)], envoy.route_states))
