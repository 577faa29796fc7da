"""The database: made, migrated, and opened by several at once."""

import subprocess
import sys

import pytest
from alembic import command
from sqlalchemy import inspect, text

from routing.database import configuration, connect, insert_new, reading, writing
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
