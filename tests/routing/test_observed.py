"""What the guard and the report ask."""

from routing import observed
from routing.database import insert_new, writing
from routing.lines import unit_of
from routing.tables import Exposure, Feedback, Mirrored
from tests.routing.lines import NOW, ids, line


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
