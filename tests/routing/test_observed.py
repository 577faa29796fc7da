"""What the guard and the report ask."""

import numpy as np

from routing import observed
from routing.database import insert_new, writing
from routing.lines import unit_of
from routing.milestones import created, moved
from routing.newcomers import SETTLING, newcomers
from routing.tables import Exposure, Feedback, Mirrored
from tests.routing.lines import NOW, ids, line
from tests.routing.rows import A, B, history, put, request, state


def test_what_the_guard_and_the_report_ask(engine, log):
    log(line("a", key="u", time=NOW), line("b", key="u", time=NOW + 1, status=404))
    log(line("c", time=NOW + 2, status=500), line("d", time=NOW + 3, status=0, variant=None, source=None))
    log(line("e", time=NOW + 4, variant="m@1.0", source="fallback"))
    log(line("f", time=NOW - 1), line("g", assigned="m@1.0", variant="m@1.0"), line("h", experiment="other"))
    found = observed.requests(engine, "e", NOW)
    assert set(found) == {"m@1.0", "m@2.0"}
    assert found["m@2.0"].at.tolist() == [NOW + second for second in range(5)]
    assert found["m@2.0"].failed.tolist() == [False, False, True, False, True]
    assert found["m@2.0"].seconds[0] == found["m@1.0"].seconds[0] == 0.025
    assert str(found["m@2.0"].seconds[1:].tolist()) == "[nan, nan, nan, nan]"
    assert observed.shares(engine, "e", NOW) == {"m@1.0": (1, 1), "m@2.0": (5, 4)}


def test_the_reward_of_a_unit_is_its_mean(engine, log):
    log(line("a", key="u", time=NOW), line("b", key="u", time=NOW + 1), line("c", key="u", time=NOW + 2))
    log(line("d", key="u", time=NOW + 3, variant="m@1.0", source="fallback"), line("e", key="v"))
    log(line("f", key="w", time=NOW - 9), line("g", key="silent"))
    given = {"b": 1.0, "c": 0.0, "d": 9.0, "e": 0.25, "f": 9.0}
    rows = [{"request_id": name, "received": NOW, "reward": reward, "label": None} for name, reward in given.items()]
    with writing(engine) as session:
        insert_new(session, Feedback, [{**row, "status": "accepted"} for row in rows])
        insert_new(session, Feedback, [{**rows[0], "request_id": "g", "status": "pending"}])
    found = {row.unit: row[1:] for row in observed.rewards(engine, "e", NOW)}
    assert found == {unit_of("e", "u"): ("m@2.0", NOW, 0.5), unit_of("e", "v"): ("m@2.0", NOW, 0.25)}


def test_a_copy_is_paired_with_its_live_request(engine, log):
    log(line("a", {"prediction": 23.5}), line("b"))
    log(line("a", {"prediction": 24.0}, mirror="m@3.0", variant="m@3.0", source="mirror", microseconds=50_000))
    log(line("b", mirror="m@3.0", variant=None, source=None, status=503))
    assert ids(engine, Exposure) == ids(engine, Mirrored) == ["a", "b"]
    pairs = observed.mirror_pairs(engine, "e", NOW)
    assert [(pair.request_id, pair.variant, pair.mirror) for pair in pairs] == [
        ("a", "m@2.0", "m@3.0"),
        ("b", "m@2.0", "m@3.0"),
    ]
    assert (pairs[0].prediction, pairs[0].mirror_prediction) == ({"prediction": 23.5}, {"prediction": 24.0})
    assert (pairs[0].seconds, pairs[0].mirror_seconds) == (0.025, 0.05)
    assert [(pair.status, pair.mirror_status) for pair in pairs] == [(200, 200), (200, 503)]


def test_what_is_good_and_what_has_failed(database):
    statuses = (0, 199, 200, 299, 300, 404, 499, 500, 599)
    put(database, Exposure, *(request(f"{status:03}", A, at=status, status=status) for status in statuses))
    put(database, Exposure, request("unknown", B, at=1, seconds=None), request("later", B, at=0, source="fallback"))
    found = observed.requests(database, "e", NOW)
    assert found[A].at.tolist() == [NOW + status for status in statuses]
    good = [status for status, known in zip(statuses, ~np.isnan(found[A].seconds), strict=True) if known]
    failed = [status for status, bad in zip(statuses, found[A].failed, strict=True) if bad]
    assert (good, failed) == ([200, 299], [500, 599])
    assert found[B].failed.tolist() == [True, False]
    assert np.isnan(found[B].seconds).all()
    assert found[A].failed.dtype == bool
    assert observed.requests(database, "none", NOW) == {}


def test_rewards_come_in_the_order_of_the_first_exposures(database):
    put(database, Exposure, *(request(name, A, at=at, unit=name) for name, at in (("z", 1), ("b", 2), ("a", 2))))
    put(database, Exposure, request("y", B, at=0, unit="z"), request("x", B, at=-1, unit="b"))
    rows = [{"request_id": name, "received": NOW, "label": None, "status": "accepted"} for name in "zbayx"]
    put(database, Feedback, *({**row, "reward": float(number)} for number, row in enumerate(rows)))
    assert [(it.unit, it.variant, it.at - NOW, it.reward) for it in observed.rewards(database, "e", NOW)] == [
        ("z", B, 0, 3),
        ("z", A, 1, 0),
        ("a", A, 2, 2),
        ("b", A, 2, 1),
    ]
    assert observed.rewards(database, "f", NOW) == []


def test_shares_are_by_variant_since_a_time(database):
    put(database, Exposure, *(request(f"{number}", B, at=number, unit="u") for number in range(-1, 3)))
    put(database, Exposure, request("a", A), request("f", A, experiment="f"))
    assert list(observed.shares(database, "e", NOW).items()) == [(A, (1, 1)), (B, (3, 1))]


def test_pairs_are_in_the_order_of_time_and_of_one_experiment(database):
    rows = [
        request(name, A, at=at, experiment=of)
        for name, at, of in (("b", 2, "e"), ("a", 3, "e"), ("f", 2, "f"), ("o", -1, "e"))
    ]
    put(database, Exposure, *rows)
    copy = {"experiment": "e", "variant": B, "at": NOW, "status": 500, "seconds": 0.5, "prediction": None}
    put(database, Mirrored, *({**copy, "request_id": name} for name in "bafo"))
    put(database, Mirrored, {**copy, "request_id": "alone"})
    pairs = observed.mirror_pairs(database, "e", NOW)
    assert [(it.request_id, it.at - NOW, it.seconds, it.mirror_seconds) for it in pairs] == [
        ("b", 2, 0.025, 0.5),
        ("a", 3, 0.025, 0.5),
    ]


def test_newcomers_are_counted_by_their_first_variant_once_the_split_has_settled(database):
    put(database, Exposure, request("1", A, at=50 + SETTLING, unit="u"), request("2", A, at=50 + SETTLING, unit="v"))
    put(database, Exposure, request("3", B, at=49 + SETTLING, unit="early"), request("4", B, at=200, unit="early"))
    put(database, Exposure, request("5", B, at=-1, unit="w"), request("6", B, at=200, unit="w"))
    put(database, Exposure, request("7", B, at=200, unit="x", experiment="f"))
    assert newcomers(database, "e", NOW, NOW + 50) == {A: 2, B: 1}
    assert newcomers(database, "e", NOW, NOW + 400) == {}


def test_the_beginning_is_the_last_creation_and_moves_are_of_the_split():
    one, two = state(a=90, b=10), state(a=50, b=50)
    steps = [(0, "create", one), (1, "weights", two), (2, "mirror", two), (3, "stop", two)]
    assert [created(history(*steps)).at - NOW, moved(history(*steps)).at - NOW] == [0, 1]
    again = [*steps, (4, "create", two), (5, "mirror", two)]
    assert [created(history(*again)).at - NOW, moved(history(*again)).at - NOW] == [4, 4]
    assert [created(history(steps[1])).at - NOW, moved(history(steps[1], steps[2])).at - NOW] == [1, 1]
