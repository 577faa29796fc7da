"""Registry of access keys: a table in the database that the nodes share, or in a SQLite file of this node."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    insert,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateTable

from marina.errors import AccessKeyError
from marina.security.access_keys import AccessKey
from marina.settings import Settings

BUSY_SECONDS = 30  # that a writer waits for SQLite's one write lock

KEYS = Table(
    "access_keys",
    MetaData(),
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("rate", Integer),
    Column("burst", Integer),
    Column("created", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Column("revoked", Double),
    Column("signer", String, nullable=False),
)


class KeyRegistry:
    """Access to the table; each call is a transaction. Raises AccessKeyError while the database does not respond."""

    def __init__(self, settings: Settings) -> None:
        self._file = None if settings.database else settings.keys / "access_keys.db"
        self._url = settings.database or f"sqlite:///{self._file}"
        arguments: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}} if self._sqlite else {}
        self._engine = create_engine(self._url, pool_pre_ping=True, **arguments)

    @property
    def _sqlite(self) -> bool:
        return make_url(self._url).get_backend_name() == "sqlite"

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if self._file is not None and not self._file.exists():
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _create_private(self._file)
        try:
            with self._engine.begin() as connection:
                connection.execute(CreateTable(KEYS, if_not_exists=True))
                yield connection
        except SQLAlchemyError as exc:
            reason = str(exc.orig if hasattr(exc, "orig") and exc.orig else exc).strip()
            raise AccessKeyError(f"the registry of access keys does not respond: {reason}") from exc

    def add(self, key: AccessKey) -> None:
        """Store a new key."""
        row = {column.name: getattr(key, column.name) for column in KEYS.columns} | {"scopes": list(key.scopes)}
        with self._transaction() as connection:
            connection.execute(insert(KEYS).values(row))

    def all(self) -> list[AccessKey]:
        """Return every key, the oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(select(KEYS).order_by(KEYS.c.created, KEYS.c.id)).mappings().all()
        return [AccessKey(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]

    def active(self) -> list[AccessKey]:
        """Return the keys that are neither revoked nor expired."""
        now = time.time()
        return [key for key in self.all() if key.state(now) == "active"]

    def revoke(self, key_id: str) -> AccessKey:
        """Revoke a key, for good; raises AccessKeyError if there is none of this id. Again is not an error."""
        with self._transaction() as connection:
            first = (KEYS.c.id == key_id) & KEYS.c.revoked.is_(None)
            connection.execute(update(KEYS).where(first).values(revoked=time.time()))
        found = [key for key in self.all() if key.id == key_id]
        if not found:
            raise AccessKeyError(f"there is no key {key_id}: `marina key list` shows all")
        return found[0]

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _create_private(file: Path) -> None:
    """Create an empty file that only its owner may read; SQLite gives its journals the same mode."""
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
