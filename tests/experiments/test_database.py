"""The database: created, migrated, and opened by several processes at once."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic import command
from sqlalchemy import create_engine, event, inspect, make_url, text

import marina.experiments.database
from marina.experiments import queries
from marina.experiments.database import (
    WRITE_LOCK,
    Base,
    LogPosition,
    alembic_config,
    connect,
    insert_new,
    read_session,
    write_session,
)
from marina.settings import ROOT


def test_a_database_that_is_up_to_date_stays_as_it_is(engine, url):
    with write_session(engine) as session:
        insert_new(session, LogPosition, [{"name": "a", "identity": "b", "offset": 2**40}])
    again = connect(url)
    with read_session(again) as session:
        assert session.get_one(LogPosition, "a").offset == 2**40
    assert {*Base.metadata.tables, "alembic_version"} == set(inspect(again).get_table_names())
    again.dispose()


def test_migrations_make_what_the_models_describe(engine):
    with engine.begin() as connection:
        command.check(alembic_config(connection))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE feedback DROP COLUMN label"))
        with pytest.raises(Exception, match=r"add_column.*label"):
            command.check(alembic_config(connection))


def test_rows_from_before_keep_their_ids(url):
    """Then the client's x-request-id identified a request."""
    engine = create_engine(url)
    Path(make_url(url).database).parent.mkdir(exist_ok=True) if "sqlite" in url else None
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        connection.execute(text("INSERT INTO feedback VALUES ('ada-1', 1763800000, 0.5, NULL, 'accepted')"))
        connection.execute(
            text("INSERT INTO exposures VALUES ('ada-1', 'e', 1763800000, 'u', 'm@1', 'm@1', 'split', 200, 0.1, NULL)")
        )
    engine.dispose()
    migrated = connect(url)
    assert [(it.unit, it.variant, it.reward) for it in queries.rewards(migrated, "e", 0)] == [("u", "m@1", 0.5)]
    migrated.dispose()


def test_several_processes_can_start_at_once(url):
    script = f"from marina.experiments.database import connect; connect({url!r})"
    starts = [
        subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert [(start.communicate()[1], start.returncode) for start in starts] == [("", 0)] * 4
    engine = connect(url)
    assert "changes" in inspect(engine).get_table_names()
    engine.dispose()


def test_sqlite_keeps_a_commit_through_a_power_cut(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/not/there/yet.db")
    with engine.connect() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]
    engine.dispose()


def test_the_files_of_the_database_are_the_owner_s_alone(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/a.db")
    with write_session(engine) as session:
        insert_new(session, LogPosition, [{"name": "a", "identity": "", "offset": 1}])
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("a.db*") if file.suffix != ".lock"}
    assert modes == dict.fromkeys(("a.db", "a.db-wal", "a.db-shm"), 0o600)
    engine.dispose()


def test_other_databases_are_refused():
    with pytest.raises(ValueError, match="mysql: only sqlite and postgresql"):
        connect("mysql://nobody@localhost/none")


def test_a_folder_may_hold_a_per_cent_sign(tmp_path, monkeypatch):
    monkeypatch.setattr("marina.experiments.database.Path", lambda *_: SimpleNamespace(parent=tmp_path / "100%"))
    assert alembic_config(None).get_main_option("script_location") == f"{tmp_path}/100%/migrations"


def test_inserting_no_rows_executes_nothing():
    insert_new(None, LogPosition, [])


def test_the_first_row_of_a_key_stays(database):
    for offset in (1, 2):
        with write_session(database) as session:
            insert_new(session, LogPosition, [{"name": "a", "identity": "", "offset": offset}])
    with read_session(database) as session:
        assert session.get_one(LogPosition, "a").offset == 1


def test_a_writer_locks_before_it_reads_and_readers_do_not_wait(database):
    statements = []
    event.listen(database, "before_cursor_execute", lambda *it: statements.append(it[2]))
    with write_session(database) as session:
        session.execute(text("SELECT 1"))
        assert WRITE_LOCK.locked()
        with read_session(database) as other:
            other.execute(text("SELECT 2"))
    assert not WRITE_LOCK.locked()
    assert statements == ["BEGIN IMMEDIATE", "SELECT 1", "BEGIN", "SELECT 2"]


def test_a_failed_transaction_is_rolled_back(database):
    def fail() -> None:
        with write_session(database) as session:
            insert_new(session, LogPosition, [{"name": "a", "identity": "", "offset": 1}])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with read_session(database) as session:
        assert session.get(LogPosition, "a") is None
    assert not WRITE_LOCK.locked()


def test_a_writer_waits_for_half_a_minute(database):
    with database.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def test_rows_can_be_used_after_the_commit(database):
    with write_session(database) as session:
        session.add(row := LogPosition(name="a", identity="b", offset=1))
    assert row.identity == "b"


def test_migrations_lock_a_file(tmp_path, monkeypatch):
    locks = []
    usual = marina.experiments.database.FileLock
    monkeypatch.setattr("marina.experiments.database.FileLock", lambda name: locks.append(name) or usual(name))
    connect(f"sqlite:///{tmp_path}/a.db").dispose()
    assert locks == [f"{tmp_path}/a.db.lock"]
