"""People whom users have enrolled, by the embeddings of their faces; kept in a file that all workers share."""

import os
import re
import sqlite3
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from torch import Tensor

from handlers import vectors
from handlers.errors import BadRequest
from handlers.vectors import Vectors

FOLDER = "MARINA_GALLERY"  # the environment variable that says where; a folder that outlives restarts
MAX_PEOPLE = 10_000
MAX_PICTURES = 20  # of one person
SECONDS = 10  # to wait for another worker's change
NAME = re.compile(r"[^\W_][\w .'-]{0,63}")  # letters and digits of any script
TABLE = "CREATE TABLE IF NOT EXISTS pictures (id INTEGER PRIMARY KEY, person TEXT NOT NULL, embedding BLOB NOT NULL)"
INDEX = "CREATE INDEX IF NOT EXISTS by_person ON pictures (person)"


def folder() -> Path:
    """Where galleries are: MARINA_GALLERY, or else a folder among the temporary files, which a reboot may clear."""
    return Path(os.environ.get(FOLDER) or Path(tempfile.gettempdir()) / "marina-gallery")


def person_of(text: str, field: str) -> str:
    """A name as it is kept; raises BadRequest for what is no name."""
    name = unicodedata.normalize("NFC", text).strip()
    if not NAME.fullmatch(name):
        raise BadRequest(field, "a name has 1 to 64 letters, digits, spaces, points, hyphens, and begins with a letter")
    return name


class Gallery:
    """SQLite locks the file while one worker writes; its user_version counts the changes, so that each worker reads it
    anew only after one. Of faces only embeddings are kept, readable by this user alone, and wiped when deleted.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._seen = -1  # the version that these were read at:
        self._people: list[str] = []  # whom each vector is of
        self._vectors = np.empty((0, 0), np.float32)

    def enrol(self, person: str, embedding: Tensor) -> int:
        """Keep one more picture of this person; returns how many there are. Raises BadRequest over a limit."""
        with self._changing() as database:
            (own,) = database.execute("SELECT count(*) FROM pictures WHERE person = ?", (person,)).fetchone()
            if own >= MAX_PICTURES:
                raise BadRequest("enrol", f"{person} has {own} pictures, and {MAX_PICTURES} is the limit")
            (people,) = database.execute("SELECT count(DISTINCT person) FROM pictures").fetchone()
            if own == 0 and people >= MAX_PEOPLE:
                raise BadRequest("enrol", f"{people} people are enrolled, and {MAX_PEOPLE} is the limit")
            row = (person, embedding.numpy().astype("<f4").tobytes())
            database.execute("INSERT INTO pictures (person, embedding) VALUES (?, ?)", row)
        return int(own) + 1

    def delete(self, person: str) -> int:
        """Forget this person; returns how many pictures there were. Raises BadRequest for one who is not enrolled."""
        with self._changing() as database:
            gone = database.execute("DELETE FROM pictures WHERE person = ?", (person,)).rowcount
            if not gone:
                raise BadRequest("delete", f"nobody called {person!r} is enrolled")
        return gone

    def people(self) -> dict[str, int]:
        """How many pictures there are of each person, by name."""
        with self._open() as database:
            return dict(database.execute("SELECT person, count(*) FROM pictures GROUP BY person ORDER BY person"))

    def nearest(self, embedding: Tensor, count: int) -> list[tuple[str, float]]:
        """The `count` people most similar to (D,), each with the similarity of the best picture, the best first."""
        self._refresh()
        if not self._people:
            return []
        best: dict[str, float] = {}
        # Were all the nearest pictures of few people, there would still be `count` people among this many.
        for place, similarity in self._search(embedding.numpy(), count * MAX_PICTURES):
            best.setdefault(self._people[place], similarity)
        return list(best.items())[:count]

    def pictures_of(self, person: str) -> Vectors:
        """(M, D): the embeddings of this person's pictures, none for one who is not enrolled."""
        self._refresh()
        return self._vectors[[place for place, name in enumerate(self._people) if name == person]]

    def _refresh(self) -> None:
        """Read the file if it has changed since."""
        with self._open() as database:
            database.execute("BEGIN")  # version and rows of one moment
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == self._seen:
                return
            rows = database.execute("SELECT person, embedding FROM pictures ORDER BY id").fetchall()
        self._people = [person for person, _ in rows]
        self._vectors = np.array([np.frombuffer(embedding, "<f4") for _, embedding in rows], np.float32)
        if rows:
            self._search = vectors.index(self._vectors)
        self._seen = version

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """The file, for this worker alone; a BadRequest undoes what was done."""
        with self._open() as database, database:
            database.execute("BEGIN IMMEDIATE")
            yield database
            (version,) = database.execute("PRAGMA user_version").fetchone()
            database.execute(f"PRAGMA user_version = {version + 1}")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one task only: none may live through a fork."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.file.exists():
            self.file.touch(mode=0o600)
        with closing(sqlite3.connect(self.file, timeout=SECONDS, isolation_level=None)) as database:
            database.execute("PRAGMA secure_delete = ON")
            database.execute(TABLE)
            database.execute(INDEX)
            yield database
