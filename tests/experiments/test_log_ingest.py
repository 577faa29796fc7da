"""Ingestion of Envoy's log: rotation, restarts, and SIGKILL."""

import itertools
import multiprocessing
import os
import signal
from hashlib import blake2b
from pathlib import Path
from socket import gethostname

from sqlalchemy import event

from marina.experiments import log_ingest
from marina.experiments.database import (
    Feedback,
    LogPosition,
    MirroredRequest,
    connect,
    insert_new,
    read_session,
    write_session,
)
from marina.experiments.log_ingest import LogIngest, delete_before, file_identity
from tests.experiments.log_lines import NOW, add, ids, line


def test_an_incomplete_line_is_read_once_it_is_complete(engine, file, ingest):
    text = line("b")
    add(file, text[:30])
    assert ingest.read() == 0
    add(file, text[30:], line("c"), text[:30])
    assert ingest.read() == 2
    assert ids(engine) == ["b", "c"]


def test_a_batch_is_bounded(engine, file, ingest, monkeypatch):
    monkeypatch.setattr(log_ingest, "BATCH", 3)
    add(file, *(line(str(number)) for number in range(7)))
    assert [ingest.read() for _ in range(4)] == [3, 3, 1, 0]
    assert len(ids(engine)) == 7


def test_after_a_rotation_the_old_file_is_read_to_its_end(engine, file, ingest, monkeypatch):
    """Envoy writes to the old file until it has opened the new one."""
    monkeypatch.setattr(log_ingest, "MAX_FILE_BYTES", 100)
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
    assert LogIngest(engine, file).read() == 1


def test_a_file_is_rotated_and_deleted_after_a_day(file, ingest):
    add(file, line("a"))
    ingest.read()
    ingest.rotate(lambda: None)
    assert file.exists()
    ingest.started -= log_ingest.MAX_FILE_SECONDS
    ingest.rotate(file.touch)
    assert file.with_name("exposures.jsonl.1").exists()
    add(file, line("b"))
    assert ingest.read() == 1
    assert not file.with_name("exposures.jsonl.1").exists()


def test_an_empty_new_file_keeps_the_position(engine, file, ingest, caplog):
    add(file, line("a"))
    ingest.read()
    old = file.rename(file.with_name("exposures.jsonl.1"))
    file.touch()
    assert ingest.read() == 0
    assert old.exists()
    add(file, line("b"))
    assert ingest.read() == 1
    assert not old.exists()


def test_an_old_file_that_outlived_a_crash_is_deleted_and_not_read_again(engine, file, ingest):
    """As after a kill between the commit and the deletion."""
    add(file, line("a"))
    ingest.read()
    old = file.rename(file.with_name("exposures.jsonl.1"))
    copy = old.read_bytes()
    add(file, line("b"))
    ingest.read()
    old.write_bytes(copy)
    add(file, line("c"))
    assert ingest.read() == 1
    assert not old.exists()


def test_another_file_of_the_same_name_is_read_from_its_beginning(engine, file, ingest):
    """Even one with the same inode: file systems reuse them."""
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
    """Read, and get SIGKILL just before that statement, or commit, of the database."""
    engine, count = connect(url), itertools.count()

    def die(*_) -> None:
        if next(count) == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", die)
    event.listen(engine, "commit", die)
    ingest = LogIngest(engine, file)
    while ingest.read():
        pass


def test_sigkill_loses_and_duplicates_nothing(engine, url, file, monkeypatch):
    """Killed at any point: the rows of a batch are stored with the position after them, or neither is."""
    monkeypatch.setattr(log_ingest, "BATCH", 20)
    requests = [f"{number:04}" for number in range(1_000)]
    add(file, *(line(request_id, mirror=mirror) for request_id in requests for mirror in (None, "m@3.0")))
    for statement in range(16):
        reader = multiprocessing.get_context("fork").Process(target=read_until_killed, args=(url, file, statement))
        reader.start()
        reader.join()
        assert reader.exitcode == -signal.SIGKILL
        assert ids(engine) == ids(engine, MirroredRequest) == requests[: len(ids(engine))]
    taken, rest = len(ids(engine)), 0
    assert 0 < taken < len(requests)
    ingest = LogIngest(engine, file)
    while lines := ingest.read():
        rest += lines
    assert rest == 2 * (len(requests) - taken)
    assert ids(engine) == ids(engine, MirroredRequest) == requests


def test_old_rows_are_deleted(engine, file, ingest):
    add(file, line("a", time=NOW - 1), line("b"), line("a", time=NOW - 1, mirror="m@3.0"), line("b", mirror="m@3.0"))
    ingest.read()
    row = {"reward": 1.0, "label": None, "status": "accepted"}
    with write_session(engine) as session:
        insert_new(session, Feedback, [{**row, "id": "a", "received": NOW - 1}])
        insert_new(session, Feedback, [{**row, "id": "b", "received": NOW}])
    delete_before(engine, NOW)
    assert ids(engine) == ids(engine, MirroredRequest) == ids(engine, Feedback) == ["b"]


def reading_of(engine, ingest) -> LogPosition:
    with read_session(engine) as session:
        return session.get_one(LogPosition, ingest.name)


def test_a_file_is_identified_by_its_first_line(tmp_path):
    file = tmp_path / "log"
    file.write_bytes(b"first")
    assert file_identity(file) == ""
    file.write_bytes(b"first\n")
    assert file_identity(file) == blake2b(b"first\n", digest_size=16).hexdigest()
    file.write_bytes(b"first\nsecond\n")
    assert file_identity(file) == blake2b(b"first\n", digest_size=16).hexdigest()


def test_the_position_is_stored_by_host_and_file(database, file):
    """Several nodes can share a database."""
    ingest = LogIngest(database, file)
    assert ingest.name == f"{gethostname()}:{file}"
    add(file, line("a"))
    ingest.read()
    row = reading_of(database, ingest)
    assert (row.identity, row.offset) == (file_identity(file), file.stat().st_size)


def test_a_file_is_rotated_when_it_is_larger_than_the_limit(database, file, monkeypatch):
    ingest, reopened = LogIngest(database, file), []
    add(file, line("a"))
    monkeypatch.setattr(log_ingest, "MAX_FILE_BYTES", file.stat().st_size)
    ingest.rotate(lambda: reopened.append("as large"))
    assert file.exists()
    add(file, line("b"))
    ingest.rotate(lambda: reopened.append("larger"))
    assert (file.exists(), reopened) == (False, ["larger"])
    assert ingest.read() == 2
    assert ids(database) == ["a", "b"]


def test_an_empty_file_is_not_rotated_however_old(database, file):
    ingest = LogIngest(database, file)
    add(file)
    ingest.started -= 2 * log_ingest.MAX_FILE_SECONDS
    ingest.rotate(file.touch)
    assert not ingest.old.exists()


def test_the_age_counts_from_each_rotation(database, file):
    ingest = LogIngest(database, file)
    for number in range(2):
        add(file, line(f"{number}"))
        ingest.rotate(file.touch)
        assert not ingest.old.exists()
        ingest.started -= log_ingest.MAX_FILE_SECONDS + 1
        ingest.rotate(file.touch)
        assert ingest.old.exists()
        add(file, line(f"next {number}".replace(" ", "-")))
        assert ingest.read() == 2
        assert not ingest.old.exists()
        file.unlink()
    assert (log_ingest.MAX_FILE_SECONDS, log_ingest.MAX_FILE_BYTES, log_ingest.BATCH) == (86_400, 64 * 2**20, 5_000)


def test_the_warning_names_the_last_malformed_field(database, file, caplog):
    add(file, line("a"), "{}\n", line("b", status="OK"))
    LogIngest(database, file).read()
    (record,) = [record for record in caplog.records if record.name == "marina.experiments.log_ingest"]
    problem = "status: Input should be a valid integer, unable to parse string as an integer"
    assert record.getMessage() == f"{file}: 2 malformed lines skipped; of the last, {problem}"
    caplog.clear()
    add(file, "7\n")
    LogIngest(database, file).read()
    assert "1 malformed lines skipped; of the last, line: Input should be" in caplog.text
