"""Envoy's log is read, whatever happens to the file and to the reader."""

import itertools
import multiprocessing
import os
import signal
from pathlib import Path

from sqlalchemy import event

from routing import exposures
from routing.database import connect, insert_new, writing
from routing.exposures import Ingest, forget
from routing.tables import Feedback, Mirrored
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
