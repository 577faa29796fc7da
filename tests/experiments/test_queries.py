"""Queries of the guard and the report."""

import numpy as np

from marina.experiments import queries
from marina.experiments.database import Exposure, Feedback, MirroredRequest, insert_new, write_session
from marina.experiments.history import creation, last_split_change
from marina.experiments.log_ingest import unit_id
from marina.experiments.queries import SETTLING_SECONDS, new_units
from tests.experiments.log_lines import NOW, ids, line
from tests.experiments.rows import A, B, exposure_row, history, insert_rows, state


def test_requests_by_assigned_variant(engine, log):
    log(line("a", key="u", time=NOW), line("b", key="u", time=NOW + 1, status=404))
    log(line("c", time=NOW + 2, status=500), line("d", time=NOW + 3, status=0, variant=None, source=None))
    log(line("e", time=NOW + 4, variant="m@1.0", source="fallback"))
    log(line("f", time=NOW - 1), line("g", assigned="m@1.0", variant="m@1.0"), line("h", experiment="other"))
    result = queries.requests(engine, "e", NOW)
    assert set(result) == {"m@1.0", "m@2.0"}
    assert result["m@2.0"].at.tolist() == [NOW + second for second in range(5)]
    assert result["m@2.0"].failed.tolist() == [False, False, True, False, True]
    assert result["m@2.0"].seconds[0] == result["m@1.0"].seconds[0] == 0.025
    assert str(result["m@2.0"].seconds[1:].tolist()) == "[nan, nan, nan, nan]"
    one, two, *others = result["m@2.0"].unit.tolist()
    assert one == two not in others
    assert len(set(others)) == 1  # the address of the requests without a key
    assert queries.shares(engine, "e", NOW) == {"m@1.0": (1, 1), "m@2.0": (5, 2)}


def test_the_reward_of_a_unit_is_its_first(engine, log):
    """A later one would change what has been looked at: no confidence sequence allows that."""
    log(line("a", key="u", time=NOW), line("b", key="u", time=NOW + 1), line("c", key="u", time=NOW + 2))
    log(line("d", key="u", time=NOW + 3, variant="m@1.0", source="fallback"), line("e", key="v"))
    log(line("f", key="w", time=NOW - 9), line("g", key="silent"))
    given = {"b": 1.0, "c": 0.0, "d": 9.0, "e": 0.25, "f": 9.0}
    rows = [
        {"id": name, "received": NOW + number, "reward": reward, "label": None}
        for number, (name, reward) in enumerate(given.items())
    ]
    with write_session(engine) as session:
        insert_new(session, Feedback, [{**row, "status": "accepted"} for row in rows])
        insert_new(session, Feedback, [{**rows[0], "id": "g", "status": "pending"}])
    result = {row.unit: row[1:] for row in queries.rewards(engine, "e", NOW)}
    assert result == {unit_id("e", "u"): ("m@2.0", NOW, 1.0), unit_id("e", "v"): ("m@2.0", NOW + 3, 0.25)}


def test_a_copy_is_paired_with_its_live_request(engine, log):
    log(line("a", {"prediction": 23.5}), line("b"))
    log(line("a", {"prediction": 24.0}, mirror="m@3.0", variant="m@3.0", source="mirror", microseconds=50_000))
    log(line("b", mirror="m@3.0", variant=None, source=None, status=503))
    assert ids(engine, Exposure) == ids(engine, MirroredRequest) == ["a", "b"]
    pairs = queries.mirror_pairs(engine, "e", NOW)
    assert [(pair.id, pair.variant, pair.mirror) for pair in pairs] == [
        ("a", "m@2.0", "m@3.0"),
        ("b", "m@2.0", "m@3.0"),
    ]
    assert (pairs[0].prediction, pairs[0].mirror_prediction) == ({"prediction": 23.5}, {"prediction": 24.0})
    assert (pairs[0].seconds, pairs[0].mirror_seconds) == (0.025, 0.05)
    assert [(pair.status, pair.mirror_status) for pair in pairs] == [(200, 200), (200, 503)]


def test_successful_and_failed_requests(database):
    statuses = (0, 199, 200, 299, 300, 404, 499, 500, 599)
    insert_rows(database, Exposure, *(exposure_row(f"{status:03}", A, at=status, status=status) for status in statuses))
    insert_rows(
        database,
        Exposure,
        exposure_row("unknown", B, at=1, seconds=None),
        exposure_row("later", B, at=0, source="fallback"),
    )
    result = queries.requests(database, "e", NOW)
    assert result[A].at.tolist() == [NOW + status for status in statuses]
    good = [status for status, known in zip(statuses, ~np.isnan(result[A].seconds), strict=True) if known]
    failed = [status for status, bad in zip(statuses, result[A].failed, strict=True) if bad]
    assert (good, failed) == ([200, 299], [500, 599])
    assert result[B].failed.tolist() == [True, False]
    assert np.isnan(result[B].seconds).all()
    assert result[A].failed.dtype == bool
    assert queries.requests(database, "none", NOW) == {}


def test_rewards_come_in_the_order_of_the_feedback(database):
    insert_rows(
        database, Exposure, *(exposure_row(name, A, at=at, unit=name) for name, at in (("z", 1), ("b", 2), ("a", 2)))
    )
    insert_rows(database, Exposure, exposure_row("y", B, at=0, unit="z"), exposure_row("x", B, at=-1, unit="b"))
    rows = [{"id": name, "received": NOW + 9, "label": None, "status": "accepted"} for name in "zbayx"]
    rows[2]["received"] = NOW + 8
    insert_rows(database, Feedback, *({**row, "reward": float(number)} for number, row in enumerate(rows)))
    assert [(it.unit, it.variant, it.at - NOW, it.reward) for it in queries.rewards(database, "e", NOW)] == [
        ("a", A, 8, 2),
        ("b", A, 9, 1),
        ("z", B, 9, 3),
        ("z", A, 9, 0),
    ]
    assert queries.rewards(database, "f", NOW) == []


def test_shares_are_by_variant_since_a_time(database):
    insert_rows(database, Exposure, *(exposure_row(f"{number}", B, at=number, unit="u") for number in range(-1, 3)))
    insert_rows(database, Exposure, exposure_row("a", A), exposure_row("f", A, experiment="f"))
    assert list(queries.shares(database, "e", NOW).items()) == [(A, (1, 1)), (B, (3, 1))]


def test_pairs_are_in_the_order_of_time_and_of_one_experiment(database):
    rows = [
        exposure_row(name, A, at=at, experiment=of)
        for name, at, of in (("b", 2, "e"), ("a", 3, "e"), ("f", 2, "f"), ("o", -1, "e"))
    ]
    insert_rows(database, Exposure, *rows)
    copy = {"experiment": "e", "variant": B, "at": NOW, "status": 500, "seconds": 0.5, "prediction": None}
    insert_rows(database, MirroredRequest, *({**copy, "id": name} for name in "bafo"))
    insert_rows(database, MirroredRequest, {**copy, "id": "alone"})
    pairs = queries.mirror_pairs(database, "e", NOW)
    assert [(it.id, it.at - NOW, it.seconds, it.mirror_seconds) for it in pairs] == [
        ("b", 2, 0.025, 0.5),
        ("a", 3, 0.025, 0.5),
    ]


def test_new_units_are_counted_by_their_first_variant_once_the_split_has_settled(database):
    insert_rows(
        database,
        Exposure,
        exposure_row("1", A, at=50 + SETTLING_SECONDS, unit="u"),
        exposure_row("2", A, at=50 + SETTLING_SECONDS, unit="v"),
    )
    insert_rows(
        database,
        Exposure,
        exposure_row("3", B, at=49 + SETTLING_SECONDS, unit="early"),
        exposure_row("4", B, at=200, unit="early"),
    )
    insert_rows(database, Exposure, exposure_row("5", B, at=-1, unit="w"), exposure_row("6", B, at=200, unit="w"))
    insert_rows(database, Exposure, exposure_row("7", B, at=200, unit="x", experiment="f"))
    assert new_units(database, "e", NOW, NOW + 50) == {A: 2, B: 1}
    assert new_units(database, "e", NOW, NOW + 400) == {}


def test_last_creation_and_last_change_of_the_split():
    one, two = state(a=90, b=10), state(a=50, b=50)
    steps = [(0, "create", one), (1, "weights", two), (2, "mirror", two), (3, "stop", two)]
    assert [creation(history(*steps)).at - NOW, last_split_change(history(*steps)).at - NOW] == [0, 1]
    again = [*steps, (4, "create", two), (5, "mirror", two)]
    assert [creation(history(*again)).at - NOW, last_split_change(history(*again)).at - NOW] == [4, 4]
    assert [creation(history(steps[1])).at - NOW, last_split_change(history(steps[1], steps[2])).at - NOW] == [1, 1]


def test_results_are_in_order_of_time_however_they_were_logged(database):
    """Sequential tests and confidence sequences read them in this order."""
    insert_rows(database, Exposure, *(exposure_row(name, A, at=at) for name, at in (("c", 3), ("a", 2), ("b", 2))))
    insert_rows(database, Exposure, exposure_row("d", B, at=1))
    insert_rows(
        database,
        Feedback,
        *({"id": name, "received": NOW, "reward": 1.0, "status": "accepted"} for name in "cabd"),
    )
    copies = {"variant": "m@3.0", "experiment": "e", "status": 200, "seconds": None, "prediction": None}
    insert_rows(database, MirroredRequest, *({**copies, "id": name, "at": NOW} for name in "cabd"))
    assert queries.requests(database, "e", NOW)[A].at.tolist() == [NOW + 2, NOW + 2, NOW + 3]
    assert [row.unit for row in queries.rewards(database, "e", NOW)] == ["a", "b", "c", "d"]
    assert [pair.at - NOW for pair in queries.mirror_pairs(database, "e", NOW)] == [1, 2, 2, 3]
    assert list(queries.shares(database, "e", NOW)) == [A, B]
