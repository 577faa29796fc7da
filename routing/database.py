"""The database of the experiments: how it is opened, read and written."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any

from alembic import command
from alembic.config import Config
from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from routing.tables import Base

BUSY = 30  # seconds that a writer waits for SQLite's one write lock
TURN = Lock()  # SQLite lets writers ask again and again, and some wait for seconds: threads queue here
MIGRATION = 0x6D6172696E61  # PostgreSQL's advisory lock: one process migrates, the others wait
INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert_new(session: Session, table: type[Base], rows: list[dict[str, Any]]) -> None:
    """Leaves what is there under the same key as it is: the first one wins."""
    if rows:
        insert: Any = INSERT[session.get_bind().dialect.name]
        session.execute(insert(table.__table__).on_conflict_do_nothing(), rows)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that only reads, and holds up nobody."""
    with Session(engine) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session that commits at its end, or not at all. Not to be begun within another: it would wait for ever."""
    turn = TURN if engine.dialect.name == "sqlite" else nullcontext()
    with turn, Session(engine.execution_options(writing=True), expire_on_commit=False) as session, session.begin():
        yield session


def configuration(connection: Connection) -> Config:
    """Alembic's, for this connection."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def connect(url: str) -> Engine:
    """The database at a sqlite:/// or postgresql:// URL, made if it is SQLite and missing, its tables up to date.

    Raises ValueError for another kind of database, and SQLAlchemy's OperationalError where none answers.
    """
    address = make_url(url)
    if address.get_backend_name() not in INSERT:
        raise ValueError(f"{address.get_backend_name()}: only sqlite and postgresql databases can hold experiments")
    if address.get_backend_name() == "postgresql":
        engine = create_engine(address, pool_pre_ping=True)
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION})
            command.upgrade(configuration(connection), "head")
        return engine
    file = Path(address.database or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address, connect_args={"timeout": BUSY})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    with FileLock(f"{file}.lock"), engine.execution_options(writing=True).begin() as connection:
        command.upgrade(configuration(connection), "head")
    return engine


def _on_connect(connection: Any, _: object) -> None:
    """A commit is on the disk when it returns; readers and the writer do not wait for each other."""
    connection.isolation_level = None  # the driver shall begin nothing: _on_begin does
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _on_begin(connection: Connection) -> None:
    """A writer takes the lock first: what it has read stays true until it writes, and it can't deadlock."""
    writer = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")
