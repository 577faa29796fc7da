"""The database of the experiments: its tables, how it is opened, and its transactions.

Times are in seconds since the epoch. `migrations/` creates the tables; `connect` applies it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from alembic import command
from alembic.config import Config
from filelock import FileLock
from pydantic import StringConstraints
from sqlalchemy import JSON, Connection, Double, Engine, Index, MetaData, UniqueConstraint, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import BigInteger

CONSTRAINT_NAMES = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s",
}
BUSY_SECONDS = 30  # that a writer waits for SQLite's one write lock
WRITE_LOCK = Lock()  # SQLite makes writers retry, and some wait for seconds: threads queue here
MIGRATION_LOCK = 0x6D6172696E61  # PostgreSQL's advisory lock: one process migrates, the others wait
INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

# Text that comes from outside and that a column can hold
ExposureId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
ShortText = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,256}$")]  # PostgreSQL stores no NUL


class Base(DeclarativeBase):
    """The declarative base of all tables."""

    metadata = MetaData(naming_convention=CONSTRAINT_NAMES)
    type_annotation_map = {float: Double, dict[str, Any]: JSON(none_as_null=True)}  # noqa: RUF012 - SQLAlchemy's form


class ChangeRow(Base):
    """A change of an experiment; triggers refuse updates and deletes.

    `after` is the change that it was derived from (0: none). Only one change can follow another, so of two writers at
    once one fails. `restored` is the change that a rollback went back to.
    """

    __tablename__ = "changes"
    __table_args__ = (UniqueConstraint("experiment", "after"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    experiment: Mapped[str]
    after: Mapped[int]
    at: Mapped[float]
    who: Mapped[str]
    what: Mapped[str]
    why: Mapped[str]
    restored: Mapped[int | None]
    state: Mapped[dict[str, Any]]


class Exposure(Base):
    """A live request: `assigned` is the variant that the split chose, `variant` the one that responded.

    `id` is Envoy's own (headers.EXPOSURE_ID), not the client's x-request-id; the tables below share it.
    """

    __tablename__ = "exposures"
    __table_args__ = (Index(None, "experiment", "at"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    experiment: Mapped[str]
    at: Mapped[float]
    unit: Mapped[str]
    assigned: Mapped[str]
    variant: Mapped[str]
    source: Mapped[str]
    status: Mapped[int]  # 0: the client disconnected
    seconds: Mapped[float | None]
    prediction: Mapped[dict[str, Any] | None]


class MirroredRequest(Base):
    """The copy of a live request, and the response of the variant under test to it."""

    __tablename__ = "mirrored"
    __table_args__ = (Index(None, "experiment", "at"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    experiment: Mapped[str]
    variant: Mapped[str]
    at: Mapped[float]
    status: Mapped[int]
    seconds: Mapped[float | None]
    prediction: Mapped[dict[str, Any] | None]


class Feedback(Base):
    """A client's feedback on a prediction. With a label, `reward` is null until the label was compared with it."""

    __tablename__ = "feedback"
    id: Mapped[str] = mapped_column(primary_key=True)
    received: Mapped[float]
    reward: Mapped[float | None]
    label: Mapped[str | None]
    status: Mapped[str] = mapped_column(index=True)


class FeedbackKey(Base):
    """A key of feedback tokens: the newest one signs, the others verify what they have signed."""

    __tablename__ = "feedback_keys"
    id: Mapped[int] = mapped_column(primary_key=True)
    created: Mapped[float]
    key: Mapped[str]


class LogPosition(Base):
    """The position up to which a log file has been read.

    The file's first line identifies it: inodes are reused, and change in a copy.
    """

    __tablename__ = "readings"
    name: Mapped[str] = mapped_column(primary_key=True)
    identity: Mapped[str]
    offset: Mapped[int] = mapped_column(BigInteger)  # bytes


def insert_new(session: Session, table: type[Base], rows: list[dict[str, Any]]) -> None:
    """Insert rows; a row whose primary key is taken is ignored, so the first one stays."""
    if rows:
        insert: Any = INSERT[session.get_bind().dialect.name]
        session.execute(insert(table.__table__).on_conflict_do_nothing(), rows)


@contextmanager
def read_session(engine: Engine) -> Iterator[Session]:
    """Open a session that only reads, and blocks nobody.

    >>> with read_session(engine) as session:  # doctest: +SKIP
    ...     session.get(Exposure, request_id)
    """
    with Session(engine) as session:
        yield session


@contextmanager
def write_session(engine: Engine) -> Iterator[Session]:
    """Open a session that commits at its end, or not at all. Nested in another one it would deadlock."""
    lock = WRITE_LOCK if engine.dialect.name == "sqlite" else nullcontext()
    with lock, Session(engine.execution_options(writing=True), expire_on_commit=False) as session, session.begin():
        yield session


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration for this connection."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def connect(url: str) -> Engine:
    """Open the database at a sqlite:/// or postgresql:// URL, and migrate it; a missing SQLite file is created.

    Raises ValueError for another kind of database, and SQLAlchemy's OperationalError where none responds.
    """
    address = make_url(url)
    if address.get_backend_name() not in INSERT:
        raise ValueError(f"{address.get_backend_name()}: only sqlite and postgresql databases can hold experiments")
    if address.get_backend_name() == "postgresql":
        engine = create_engine(address, pool_pre_ping=True)
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            command.upgrade(alembic_config(connection), "head")
        return engine
    file = Path(address.database or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    file.chmod(0o600)  # it holds the keys of feedback tokens; SQLite gives its other files the same mode
    engine = create_engine(address, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    with FileLock(f"{file}.lock"), engine.execution_options(writing=True).begin() as connection:
        command.upgrade(alembic_config(connection), "head")
    return engine


def _on_connect(connection: Any, _: object) -> None:
    """Make commits durable when they return, and let readers and the writer work side by side."""
    connection.isolation_level = None  # keeps the driver from beginning transactions: _on_begin does
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _on_begin(connection: Connection) -> None:
    """Take the lock before a writer reads: what it reads stays true until it writes, and it can't deadlock."""
    writer = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")
