"""The database: made, migrated, and opened by several at once."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from alembic import command
from sqlalchemy import event, inspect, text

import routing.database
from routing.database import TURN, configuration, connect, insert_new, reading, writing
from routing.tables import Base, Reading
from serving.settings import ROOT


def test_a_database_that_is_up_to_date_stays_as_it_is(engine, url):
    with writing(engine) as session:
        insert_new(session, Reading, [{"name": "a", "identity": "b", "offset": 2**40}])
    again = connect(url)
    with reading(again) as session:
        assert session.get_one(Reading, "a").offset == 2**40
    assert {*Base.metadata.tables, "alembic_version"} == set(inspect(again).get_table_names())
    again.dispose()


def test_migrations_make_what_the_models_describe(engine):
    with engine.begin() as connection:
        command.check(configuration(connection))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE feedback DROP COLUMN label"))
        with pytest.raises(Exception, match=r"add_column.*label"):
            command.check(configuration(connection))


def test_several_processes_can_start_at_once(url):
    script = f"from routing.database import connect; connect({url!r})"
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


def test_no_other_database_will_do():
    with pytest.raises(ValueError, match="mysql: only sqlite and postgresql"):
        connect("mysql://nobody@localhost/none")


def test_a_folder_may_hold_a_per_cent_sign(tmp_path, monkeypatch):
    monkeypatch.setattr("routing.database.Path", lambda *_: SimpleNamespace(parent=tmp_path / "100%"))
    assert configuration(None).get_main_option("script_location") == f"{tmp_path}/100%/migrations"


def test_no_rows_are_no_statement():
    insert_new(None, Reading, [])


def test_the_first_row_of_a_key_stays(database):
    for offset in (1, 2):
        with writing(database) as session:
            insert_new(session, Reading, [{"name": "a", "identity": "", "offset": offset}])
    with reading(database) as session:
        assert session.get_one(Reading, "a").offset == 1


def test_a_writer_has_the_lock_before_it_reads_and_a_reader_waits_for_nobody(database):
    statements = []
    event.listen(database, "before_cursor_execute", lambda *it: statements.append(it[2]))
    with writing(database) as session:
        session.execute(text("SELECT 1"))
        assert TURN.locked()
        with reading(database) as other:
            other.execute(text("SELECT 2"))
    assert not TURN.locked()
    assert statements == ["BEGIN IMMEDIATE", "SELECT 1", "BEGIN", "SELECT 2"]


def test_what_failed_is_not_kept(database):
    def fail() -> None:
        with writing(database) as session:
            insert_new(session, Reading, [{"name": "a", "identity": "", "offset": 1}])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with reading(database) as session:
        assert session.get(Reading, "a") is None
    assert not TURN.locked()


def test_a_writer_waits_for_half_a_minute(database):
    with database.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def test_rows_can_be_used_after_the_commit(database):
    with writing(database) as session:
        session.add(row := Reading(name="a", identity="b", offset=1))
    assert row.identity == "b"


def test_migrations_are_held_apart_by_a_file(tmp_path, monkeypatch):
    locks = []
    usual = routing.database.FileLock
    monkeypatch.setattr("routing.database.FileLock", lambda name: locks.append(name) or usual(name))
    connect(f"sqlite:///{tmp_path}/a.db").dispose()
    assert locks == [f"{tmp_path}/a.db.lock"]
