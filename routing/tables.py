"""The tables of the experiments' database. Times are seconds since the epoch."""

from typing import Any

from sqlalchemy import JSON, Double, Index, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import BigInteger

NAMES = {"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s"}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {float: Double, dict[str, Any]: JSON(none_as_null=True)}  # noqa: RUF012 - SQLAlchemy's form


class ChangeRow(Base):
    """What was changed; triggers refuse updates and deletes. `after` is the change that it was derived from (0: none):
    as only one can follow another, of two writers at once one fails. `restored` is the change a rollback went back to.
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
    """A live request: the variant that the split chose, and the one that answered."""

    __tablename__ = "exposures"
    __table_args__ = (Index(None, "experiment", "at"),)
    request_id: Mapped[str] = mapped_column(primary_key=True)
    experiment: Mapped[str]
    at: Mapped[float]
    unit: Mapped[str]
    assigned: Mapped[str]
    variant: Mapped[str]
    source: Mapped[str]
    status: Mapped[int]  # 0: the client went away
    seconds: Mapped[float | None]
    prediction: Mapped[dict[str, Any] | None]


class Mirrored(Base):
    """The copy of a live request, and what the variant under test answered to it."""

    __tablename__ = "mirrored"
    __table_args__ = (Index(None, "experiment", "at"),)
    request_id: Mapped[str] = mapped_column(primary_key=True)
    experiment: Mapped[str]
    variant: Mapped[str]
    at: Mapped[float]
    status: Mapped[int]
    seconds: Mapped[float | None]
    prediction: Mapped[dict[str, Any] | None]


class Feedback(Base):
    """What a client said of an answer. With a label, `reward` is null until the prediction is known to compare."""

    __tablename__ = "feedback"
    request_id: Mapped[str] = mapped_column(primary_key=True)
    received: Mapped[float]
    reward: Mapped[float | None]
    label: Mapped[str | None]
    status: Mapped[str] = mapped_column(index=True)


class Reading(Base):
    """How far a log file has been read. Its first line is its identity: inodes are used again, and change in a copy."""

    __tablename__ = "readings"
    name: Mapped[str] = mapped_column(primary_key=True)
    identity: Mapped[str]
    offset: Mapped[int] = mapped_column(BigInteger)  # bytes
