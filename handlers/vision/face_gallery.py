"""Gallery of enrolled people: embeddings of their faces, in a file that all workers share, and the search in it."""

import os
import re
import sqlite3
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handlers.errors import BadRequest

try:
    import faiss

    # OpenMP's threads, once started, don't survive a fork, which is how the bundle starts workers.
    faiss.omp_set_num_threads(1)
except ImportError:  # a stock TorchServe may not have it; torch finds the same neighbours
    faiss = None  # type: ignore[assignment]

Vectors = NDArray[np.float32]
Search = Callable[[Vectors, int], list[tuple[int, float]]]

FOLDER = "MARINA_GALLERY"  # environment variable: a folder that survives restarts
MAX_PEOPLE = 10_000
MAX_PICTURES = 20  # of one person
LOCK_TIMEOUT = 10  # seconds to wait for another worker's change
NAME = re.compile(r"[^\W_][\w .'-]{0,63}")  # letters and digits of any script
TABLE = "CREATE TABLE IF NOT EXISTS pictures (id INTEGER PRIMARY KEY, person TEXT NOT NULL, embedding BLOB NOT NULL)"
INDEX = "CREATE INDEX IF NOT EXISTS by_person ON pictures (person)"


def folder() -> Path:
    """Return the folder of galleries: MARINA_GALLERY, or one among the temporary files, which a reboot may clear."""
    return Path(os.environ.get(FOLDER) or Path(tempfile.gettempdir()) / "marina-gallery")


def normalized_name(text: str, field: str) -> str:
    """Return a name in the form in which it is stored; raises BadRequest if it is not a name.

    >>> normalized_name(" Zoe ", "enrol")
    'Zoe'
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not NAME.fullmatch(name):
        raise BadRequest(field, "a name has 1 to 64 letters, digits, spaces, points, hyphens, and begins with a letter")
    return name


def build_index(vectors: Vectors) -> Search:
    """Return an exact search in vectors (N, D): it takes (D,) and a count, and returns that many (index, inner
    product), the largest first. By faiss if it is installed, otherwise by torch.
    """
    if faiss is None:
        matrix = torch.from_numpy(vectors)

        def search_torch(query: Vectors, count: int) -> list[tuple[int, float]]:
            products, indices = (matrix @ torch.from_numpy(query)).topk(min(count, len(matrix)))
            return list(zip(indices.tolist(), products.tolist(), strict=True))

        return search_torch
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)

    def search_faiss(query: Vectors, count: int) -> list[tuple[int, float]]:
        products, indices = flat.search(query[None], min(count, flat.ntotal))
        return list(zip(indices[0].tolist(), products[0].tolist(), strict=True))

    return search_faiss


class Gallery:
    """Enrolled people in an SQLite file, which is locked while one worker writes.

    Its user_version counts the changes, so that each worker reads the file again only after one. Only embeddings of
    faces are stored, readable by this user alone, and wiped when deleted.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._version = -1  # user_version at which the two below were read
        self._people: list[str] = []  # the person of each vector
        self._vectors = np.empty((0, 0), np.float32)

    def enrol(self, person: str, embedding: Tensor) -> int:
        """Store one more picture of this person; return how many there are. Raises BadRequest over a limit."""
        with self._transaction() as database:
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
        """Delete this person; return how many pictures there were. Raises BadRequest if they are not enrolled."""
        with self._transaction() as database:
            deleted = database.execute("DELETE FROM pictures WHERE person = ?", (person,)).rowcount
            if not deleted:
                raise BadRequest("delete", f"nobody called {person!r} is enrolled")
        return deleted

    def people(self) -> dict[str, int]:
        """Return the number of pictures of each person, by name."""
        with self._connection() as database:
            return dict(database.execute("SELECT person, count(*) FROM pictures GROUP BY person ORDER BY person"))

    def nearest(self, embedding: Tensor, count: int) -> list[tuple[str, float]]:
        """Return the `count` people most similar to (D,), each with the similarity of the best picture, best first."""
        self._refresh()
        if not self._people:
            return []
        best: dict[str, float] = {}
        # Even if all the nearest pictures are of few people, `count` people are among this many.
        for index, similarity in self._search(embedding.numpy(), count * MAX_PICTURES):
            best.setdefault(self._people[index], similarity)
        return list(best.items())[:count]

    def pictures_of(self, person: str) -> Vectors:
        """Return the embeddings of this person's pictures, (M, D); M is 0 for one who is not enrolled."""
        self._refresh()
        return self._vectors[[index for index, name in enumerate(self._people) if name == person]]

    def _refresh(self) -> None:
        """Read the file if it has changed since it was read."""
        with self._connection() as database:
            database.execute("BEGIN")  # version and rows of one moment
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == self._version:
                return
            rows = database.execute("SELECT person, embedding FROM pictures ORDER BY id").fetchall()
        self._people = [person for person, _ in rows]
        self._vectors = np.array([np.frombuffer(embedding, "<f4") for _, embedding in rows], np.float32)
        if rows:
            self._search = build_index(self._vectors)
        self._version = version

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Lock the file for this worker; a BadRequest rolls the change back."""
        with self._connection() as database, database:
            database.execute("BEGIN IMMEDIATE")
            yield database
            (version,) = database.execute("PRAGMA user_version").fetchone()
            database.execute(f"PRAGMA user_version = {version + 1}")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for one task only: none may survive a fork."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.file.exists():
            self.file.touch(mode=0o600)
        with closing(sqlite3.connect(self.file, timeout=LOCK_TIMEOUT, isolation_level=None)) as database:
            database.execute("PRAGMA secure_delete = ON")
            database.execute(TABLE)
            database.execute(INDEX)
            yield database
