"""What Envoy makes of an experiment: who gets what, and what the reply and the log say."""

import uuid
from collections import Counter
from math import sqrt

import pytest
import xxhash

from routing.render import overlay
from routing.split import BUCKETS, change, expand
from serving import gateway
from serving.errors import MarinaError
from serving.views import ModelView, VersionView
from tests.routing.rig import A, B, Rig, experiment, rig_in, state

USERS = 10_000


def variants(rig: Rig, count: int) -> list[str]:
    replies = rig.users(count)
    assert {reply.status for reply in replies} == {200}
    return [reply.variant for reply in replies]


def test_users_are_split_alike_everywhere_and_only_those_move_who_must(rig, tmp_path):
    before = state(experiment())
    rig.publish(before)
    first = variants(rig, USERS)
    assert abs(first.count(B) - USERS / 10) <= 3 * sqrt(USERS * 0.1 * 0.9)
    with rig_in(tmp_path / "other") as replica:
        replica.publish(before)
        assert variants(replica, USERS) == first
    rig.stop()
    after = before.model_copy(
        update={"split": change(before.split, {A: 80, B: 20}), "experiment": before.experiment.weighed({A: 80, B: 20})}
    )
    rig.publish(after)  # a new Envoy process, too
    moved = Counter(zip(first, variants(rig, USERS), strict=True))
    assert 0.09 <= moved[A, B] / USERS <= 0.11
    assert moved[B, A] == 0


def test_the_bucket_is_the_documented_hash(rig):
    """So that others can compute who gets what: xxHash64(key, seed) % 10,000."""
    it = state(experiment())
    rig.publish(it)
    owners = expand(it.split)
    expected = [owners[xxhash.xxh64(f"user-{number}".encode(), seed=7).intdigest() % BUCKETS] for number in range(500)]
    assert variants(rig, 500) == expected


def test_three_variants_and_two_experiments_with_seeds_of_their_own(rig):
    rig.views["c"] = ModelView("1", {"1": VersionView(20)})
    weights = [{"model": "a", "version": "1.0", "weight": 50}, {"model": "b", "version": "2.0", "weight": 30}]
    three = experiment(variants=[*weights, {"model": "c", "version": "1", "weight": 20}])
    rig.publish(state(three), state(experiment("other", variants=three.variants, seed=8)))
    first = rig.users(3000)
    shares = Counter(reply.variant for reply in first)
    for name, share in three.weights.items():
        assert abs(shares[name] - 30 * share) <= 3 * sqrt(3000 * share / 100 * (1 - share / 100))
    other = rig.ask([{"x-user-id": f"user-{number}"} for number in range(3000)], "/predictions/other")
    both = sum(one.variant == two.variant for one, two in zip(first, other, strict=True))
    assert both / 3000 == pytest.approx(0.5**2 + 0.3**2 + 0.2**2, abs=0.04)  # independent of each other


def test_without_a_key_the_request_id_decides_and_the_reply_says_all(rig):
    rig.publish(state(experiment()))
    names = [str(uuid.UUID(int=number)) for number in range(2000)]
    replies = rig.ask([{"x-request-id": name} for name in names])
    assert [reply.headers["x-request-id"] for reply in replies] == names
    assert abs(sum(reply.variant == B for reply in replies) - 200) <= 3 * sqrt(2000 * 0.09)
    by_version = {(reply.variant, reply.headers["x-model-version"], reply.json["path"]) for reply in replies}
    assert by_version == {(A, "1.0", "/predictions/a/1.0"), (B, "2.0", "/predictions/b/2.0")}
    assert {reply.source for reply in replies} == {"split"}
    again = rig.ask([{"x-request-id": name} for name in names])
    assert [reply.variant for reply in again] == [reply.variant for reply in replies]
    empty = rig.ask([{"x-request-id": name, "x-user-id": ""} for name in names])
    assert [reply.variant for reply in empty] == [reply.variant for reply in replies]
    (bare,) = rig.ask([{}])
    assert uuid.UUID(bare.headers["x-request-id"])


def test_path_and_header_go_around_the_split(rig):
    rig.publish(state(experiment("a")))
    (reply,) = rig.ask([{}], "/predictions/b/2.0?top=1")
    assert (reply.variant, reply.source, reply.json["path"]) == (B, "path", "/predictions/b/2.0?top=1")
    for reply in rig.ask([{"x-variant": B, "x-user-id": f"{n}"} for n in range(20)], "/explanations/a?top=2"):
        assert (reply.variant, reply.source, reply.json["path"]) == (B, "header", "/explanations/b/2.0?top=2")
    (refused,) = rig.ask([{"x-variant": "c"}], "/predictions/a")
    assert refused.status == 400
    assert refused.json["message"] == f"X-Variant names none of the variants of a: {A}, {B}"
    (plain,) = rig.ask([{}], "/predictions/b")
    assert (plain.headers["x-model-version"], plain.headers["x-variant"]) == ("2.0", None)


def test_every_request_of_an_experiment_is_written_down(rig):
    rig.publish(state(experiment()))
    replies = [*rig.users(50), *rig.ask([{}] * 5)]
    rig.ask([{"x-variant": B}], body=b"{}")
    rig.ask([{"x-marina-experiment": "digits"}], "/predictions/a/1.0")  # nobody can forge one
    lines = rig.exposures(55)
    assert len(lines) == 55
    by_id = {line["request_id"]: line for line in lines}
    for number, reply in enumerate(replies):
        line = by_id[reply.headers["x-request-id"]]
        assert (line["experiment"], line["assigned"], line["variant"]) == ("digits", reply.variant, reply.variant)
        assert (line["status"], line["source"], line["mirror"]) == (200, "split", None)
        assert line["key"] == (f"user-{number}" if number < 50 else None)
        assert line["prediction"] == "%7B%22label%22%3A%20%227%22%7D"
        assert 0 < line["microseconds"] < 60_000_000
        assert float(line["time"]) > 1.7e9


def test_a_share_is_mirrored_and_a_hung_mirror_holds_nobody_up(rig):
    rig.publish(state(experiment(mirror={"to": B, "percent": 20}).weighed({A: 100, B: 0})))
    replies = rig.users(4000)
    assert {(reply.status, reply.variant, reply.source) for reply in replies} == {(200, A, "split")}
    lines = rig.exposures(4000 + 640)
    copies = [line for line in lines if line["mirror"]]
    assert 0.18 <= len(copies) / 4000 <= 0.22
    assert {(copy["mirror"], copy["variant"], copy["status"]) for copy in copies} == {(B, B, 200)}
    live = {line["request_id"] for line in lines if not line["mirror"]}
    assert {copy["request_id"] for copy in copies} <= live
    assert rig.upstream.asked["b/2.0"] >= len(copies)
    rig.upstream.delays["b/2.0"] = 10
    again = rig.users(1000)  # would take minutes, if anyone waited
    assert {(reply.status, reply.variant) for reply in again} == {(200, A)}
    assert rig.upstream.asked["b/2.0"] <= len(copies) + 64  # the rest of the copies was not let through


def test_what_control_calls_ready_is_open_at_once(rig):
    """Control looks at this machine itself: a check of Envoy's own would let the first requests fail."""
    rig.upstream.liveness = 503
    rig.publish(state(experiment()))
    assert {reply.status for reply in rig.users(50)} == {200}
    assert {reply.source for reply in rig.users(50)} == {"split"}


def test_stopped_experiments_are_gone(rig):
    rig.publish(state(experiment()), state(experiment("a"), running=False))
    assert rig.ask([{}], "/predictions/a")[0].headers["x-variant"] is None
    rig.publish(state(experiment(), running=False))
    assert rig.ask([{}])[0].json["path"] == "/predictions/digits"  # as if it had never been


def test_envoy_is_asked_before_it_is_told(rig):
    rig.publish()
    gateway.validate(rig.settings, rig.views, overlay([state(experiment(mirror={"to": B, "percent": 1}))], rig.views))
    bad = experiment().model_copy(update={"seed": -1})
    with pytest.raises(MarinaError, match="Envoy would refuse this"):
        gateway.validate(rig.settings, rig.views, overlay([state(bad)], rig.views))
