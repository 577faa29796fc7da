"""Envoy's log is read, whatever happens to the file and to the reader."""

import itertools
import multiprocessing
import os
import signal
from hashlib import blake2b
from pathlib import Path
from socket import gethostname

from sqlalchemy import event

from routing import exposures
from routing.database import connect, insert_new, reading, writing
from routing.exposures import Ingest, forget, identity
from routing.tables import Feedback, Mirrored, Reading
from tests.routing.lines import NOW, add, ids, line


def test_half_a_line_waits_for_its_other_half(engine, file, ingest):
    text = line("b")
    add(file, text[:30])
    assert ingest.read() == 0
    add(file, text[30:], line("c"), text[:30])
    assert ingest.read() == 2
    assert ids(engine) == ["b", "c"]


def test_a_batch_is_bounded(engine, file, ingest, monkeypatch):
    monkeypatch.setattr(exposures, "BATCH", 3)
    add(file, *(line(str(number)) for number in range(7)))
    assert [ingest.read() for _ in range(4)] == [3, 3, 1, 0]
    assert len(ids(engine)) == 7


def test_rotation_finishes_the_old_file_then_begins_the_new(engine, file, ingest, monkeypatch):
    """Envoy goes on writing to the old one until it has opened the new one."""
    monkeypatch.setattr(exposures, "LIMIT", 100)
    calls = []
    ingest.rotate(lambda: calls.append("no file"))
    add(file, line("a"))
    ingest.read()
    ingest.rotate(lambda: calls.append("first"))
    old = file.with_name("exposures.jsonl.1")
    assert (file.exists(), old.exists(), calls) == (False, True, ["first"])
    add(old, line("b"))
    assert ingest.read() == 1
    ingest.rotate(lambda: calls.append("still no new file"))
    add(old, line("c"), line("half")[:20])
    add(file, line("d"))
    ingest.rotate(lambda: calls.append("not before the old one is read"))
    assert file.exists()
    assert ingest.read() == 3
    assert ids(engine) == ["a", "b", "c", "d"]
    assert (old.exists(), calls) == (False, ["first", "still no new file"])
    add(file, line("e"))
    assert Ingest(engine, file).read() == 1


def test_keys_do_not_lie_about_for_longer_than_a_day(file, ingest):
    add(file, line("a"))
    ingest.read()
    ingest.rotate(lambda: None)
    assert file.exists()
    ingest.begun -= exposures.AGE
    ingest.rotate(file.touch)
    assert file.with_name("exposures.jsonl.1").exists()
    add(file, line("b"))
    assert ingest.read() == 1
    assert not file.with_name("exposures.jsonl.1").exists()


def test_an_empty_new_file_does_not_make_it_forget_where_it_was(engine, file, ingest, caplog):
    add(file, line("a"))
    ingest.read()
    old = file.rename(file.with_name("exposures.jsonl.1"))
    file.touch()
    assert ingest.read() == 0
    assert old.exists()
    add(file, line("b"))
    assert ingest.read() == 1
    assert not old.exists()


def test_another_file_of_the_same_name_is_read_from_its_beginning(engine, file, ingest):
    """Even one with the same inode: file systems give it again."""
    add(file, line("a"))
    ingest.read()
    file.write_text(line("b") + line("c"))
    assert ingest.read() == 2
    file.write_text(line("b"))
    ingest.read()
    add(file, line("d"))
    ingest.read()
    assert ids(engine) == ["a", "b", "c", "d"]


def read_until_killed(url: str, file: Path, statement: int) -> None:
    """SIGKILL comes just before that statement, or commit, of the database."""
    engine, count = connect(url), itertools.count()

    def die(*_) -> None:
        if next(count) == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", die)
    event.listen(engine, "commit", die)
    ingest = Ingest(engine, file)
    while ingest.read():
        pass


def test_sigkill_loses_nothing_and_doubles_nothing(engine, url, file, monkeypatch):
    """Whatever it was doing: the rows of a batch are taken with the place after them, or neither is."""
    monkeypatch.setattr(exposures, "BATCH", 20)
    requests = [f"{number:04}" for number in range(1_000)]
    add(file, *(line(request_id, mirror=mirror) for request_id in requests for mirror in (None, "m@3.0")))
    for statement in range(16):
        reader = multiprocessing.get_context("fork").Process(target=read_until_killed, args=(url, file, statement))
        reader.start()
        reader.join()
        assert reader.exitcode == -signal.SIGKILL
        assert ids(engine) == ids(engine, Mirrored) == requests[: len(ids(engine))]
    taken, rest = len(ids(engine)), 0
    assert 0 < taken < len(requests)
    ingest = Ingest(engine, file)
    while lines := ingest.read():
        rest += lines
    assert rest == 2 * (len(requests) - taken)
    assert ids(engine) == ids(engine, Mirrored) == requests


def test_what_is_old_is_forgotten(engine, file, ingest):
    add(file, line("a", time=NOW - 1), line("b"), line("a", time=NOW - 1, mirror="m@3.0"), line("b", mirror="m@3.0"))
    ingest.read()
    row = {"reward": 1.0, "label": None, "status": "accepted"}
    with writing(engine) as session:
        insert_new(session, Feedback, [{**row, "request_id": "a", "received": NOW - 1}])
        insert_new(session, Feedback, [{**row, "request_id": "b", "received": NOW}])
    forget(engine, NOW)
    assert ids(engine) == ids(engine, Mirrored) == ids(engine, Feedback) == ["b"]


def reading_of(engine, ingest) -> Reading:
    with reading(engine) as session:
        return session.get_one(Reading, ingest.name)


def test_a_file_is_known_by_its_first_line(tmp_path):
    file = tmp_path / "log"
    file.write_bytes(b"first")
    assert identity(file) == ""
    file.write_bytes(b"first\n")
    assert identity(file) == blake2b(b"first\n", digest_size=16).hexdigest()
    file.write_bytes(b"first\nsecond\n")
    assert identity(file) == blake2b(b"first\n", digest_size=16).hexdigest()


def test_the_place_is_kept_by_host_and_file(database, file):
    """Several nodes can share a database."""
    ingest = Ingest(database, file)
    assert ingest.name == f"{gethostname()}:{file}"
    add(file, line("a"))
    ingest.read()
    row = reading_of(database, ingest)
    assert (row.identity, row.offset) == (identity(file), file.stat().st_size)


def test_a_file_is_rotated_when_it_is_larger_than_the_limit(database, file, monkeypatch):
    ingest, reopened = Ingest(database, file), []
    add(file, line("a"))
    monkeypatch.setattr(exposures, "LIMIT", file.stat().st_size)
    ingest.rotate(lambda: reopened.append("as large"))
    assert file.exists()
    add(file, line("b"))
    ingest.rotate(lambda: reopened.append("larger"))
    assert (file.exists(), reopened) == (False, ["larger"])
    assert ingest.read() == 2
    assert ids(database) == ["a", "b"]


def test_an_empty_file_is_not_rotated_however_old(database, file):
    ingest = Ingest(database, file)
    add(file)
    ingest.begun -= 2 * exposures.AGE
    ingest.rotate(file.touch)
    assert not ingest.old.exists()


def test_age_begins_anew_with_each_file(database, file):
    ingest = Ingest(database, file)
    for number in range(2):
        add(file, line(f"{number}"))
        ingest.rotate(file.touch)
        assert not ingest.old.exists()
        ingest.begun -= exposures.AGE + 1
        ingest.rotate(file.touch)
        assert ingest.old.exists()
        add(file, line(f"next {number}".replace(" ", "-")))
        assert ingest.read() == 2
        assert not ingest.old.exists()
        file.unlink()
    assert (exposures.AGE, exposures.LIMIT, exposures.BATCH) == (86_400, 64 * 2**20, 5_000)


def test_what_was_malformed_is_said_of_the_last(database, file, caplog):
    add(file, line("a"), "{}\n", line("b", status="OK"))
    Ingest(database, file).read()
    (record,) = [record for record in caplog.records if record.name == "routing.exposures"]
    said = "status: Input should be a valid integer, unable to parse string as an integer"
    assert record.getMessage() == f"{file}: 2 malformed lines skipped; of the last, {said}"
    caplog.clear()
    add(file, "7\n")
    Ingest(database, file).read()
    assert "1 malformed lines skipped; of the last, line: Input should be" in caplog.text
