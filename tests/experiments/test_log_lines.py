"""A line of Envoy's log becomes a row."""

import logging
from hashlib import blake2b

from marina.experiments.log_ingest import LogLine, address_unit, parse_prediction, unit_id
from tests.experiments.log_lines import NOW, add, ids, line, one


def test_a_line_becomes_a_row(engine, file, ingest):
    assert ingest.read() == 0
    add(file, line("a", {"label": "7", "probability": 0.98, "more": [1]}, key="user-17", time=str(NOW + 0.25)))
    assert ingest.read() == 1
    row = one(engine, "a")
    assert (row.experiment, row.at, row.assigned, row.variant) == ("e", NOW + 0.25, "m@2.0", "m@2.0")
    assert (row.source, row.status, row.seconds) == ("split", 200, 0.025)
    assert row.prediction == {"label": "7", "probability": 0.98}
    assert ingest.read() == 0


def test_keys_are_stored_as_pseudonyms(engine, file, ingest):
    add(file, line("a", key="user-17"), line("b", key="user-17"), line("c", key="user-18"))
    add(file, line("d", key="user-17", experiment="other"), line("e", key=None), line("f", key=""))
    ingest.read()
    units = {request_id: one(engine, request_id).unit for request_id in "abcdef"}
    assert units["a"] == units["b"] == unit_id("e", "user-17")
    assert len({units["a"], units["c"], units["d"]}) == 3
    assert units["e"] == units["f"] == address_unit("e", "10.0.0.1") != address_unit("e", "10.0.0.2")
    assert "user" not in "".join(units.values())
    assert "10.0" not in "".join(units.values())


def test_a_client_without_a_key_is_one_unit_by_its_address(engine, log):
    """However many requests it sends; of IPv6, whichever address of its network it sends them from."""
    addresses = ("10.0.0.1", "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1")
    log(*(line(str(number), client=address) for number, address in enumerate(addresses)), line("6", client=None))
    units = [one(engine, str(number)).unit for number in range(7)]
    assert units[0] == units[1]
    assert units[3] == units[4]
    assert len(set(units)) == 5
    assert all(unit.startswith("address:") for unit in units)
    log(line("7", key="10.0.0.1"))
    assert one(engine, "7").unit not in units  # nobody takes the place of an address by a key


def test_without_a_response_the_assigned_variant_is_stored(engine, file, ingest):
    add(file, line("a", status=0, variant=None, source=None, microseconds=None))
    ingest.read()
    row = one(engine, "a")
    assert (row.status, row.variant, row.source, row.seconds, row.prediction) == (0, "m@2.0", "split", None, None)


def test_the_first_line_of_a_request_wins(engine, file, ingest):
    add(file, line("a", status=200), line("a", status=500))
    ingest.read()
    add(file, line("a", status=502), line("b"))
    ingest.read()
    assert ids(engine) == ["a", "b"]
    assert one(engine, "a").status == 200


BAD = [
    "\n",
    "{}\n",
    "[]\n",
    "\0\0\0\0\n",
    "not JSON at all\n",
    line("a")[:40] + "\n",
    line("has a space"),
    line("a", status="OK"),
    line("a", status=2**31),
    line("a", time="yesterday"),
    line("a", time="NaN"),
    line("a", variant="m\0"),
    line("a", source="elsewhere"),
    line("a", experiment=None),
]


def test_malformed_lines_are_skipped(engine, file, ingest, caplog):
    good = [line(str(number), key="secret") for number in range(10, 10 + len(BAD))]
    add(file, *(text for pair in zip(BAD, good, strict=True) for text in pair))
    with caplog.at_level(logging.WARNING):
        assert ingest.read() == 2 * len(BAD)
    assert ids(engine) == [str(number) for number in range(10, 10 + len(BAD))]
    assert f"{len(BAD)} malformed lines skipped" in caplog.text
    assert "secret" not in caplog.text


def test_bytes_that_are_not_utf_8_are_accepted(engine, file, ingest):
    add(file, line("a"))
    with file.open("ab") as opened:
        opened.write(line("b", key="KEY").encode().replace(b"KEY", b"\xff\xfe"))
    assert ingest.read() == 2
    assert ids(engine) == ["a", "b"]


def test_a_malformed_prediction_is_none(engine, log):
    """The request counts all the same."""
    bad = ["%7B", "{", "7", "{}", '{"label": "\\u0000"}', '{"label": "\\ud800"}', '{"prediction": NaN}', '{"label": 7}']
    log(*(line(str(number), prediction=text) for number, text in enumerate(bad)))
    assert [one(engine, str(number)).prediction for number in range(len(bad))] == [None] * len(bad)


def test_a_unit_is_a_keyed_hash_of_the_experiment():
    salt = blake2b(b"e", digest_size=16).digest()
    assert unit_id("e", "ü") == blake2b("ü".encode(), digest_size=16, key=salt).hexdigest()


def test_every_field_of_a_row():
    parsed = LogLine.model_validate_json(line("a", {"prediction": 2}, key="u", microseconds=0))
    common = {
        "id": "a",
        "experiment": "e",
        "at": NOW,
        "status": 200,
        "seconds": 0,
        "prediction": {"prediction": 2},
    }
    split = {"assigned": "m@2.0", "variant": "m@2.0", "source": "split", "unit": unit_id("e", "u")}
    assert parsed.exposure() == {**common, **split}
    assert parsed.mirrored() == {**common, "variant": "m@2.0"}
    copy = LogLine.model_validate_json(line("a", mirror="m@3.0", variant=None, source=None, microseconds=1_500_000))
    assert (copy.mirrored()["variant"], copy.mirrored()["seconds"]) == ("m@3.0", 1.5)
    assert parse_prediction(None) is parse_prediction("") is None
