"""Envoy's access log of the experiments becomes rows: none lost and none twice, whenever this process dies."""

import logging
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from socket import gethostname

from pydantic import ValidationError
from sqlalchemy import Engine, delete

from routing.database import insert_new, writing
from routing.lines import Line
from routing.tables import Exposure, Feedback, Mirrored, Reading

logger = logging.getLogger(__name__)

BATCH = 5_000  # lines of one transaction
LIMIT = 64 * 2**20  # bytes of a log file before another one is begun
AGE = 86_400.0  # seconds of a process that reads it: the file holds users' keys, which nobody needs for long


def identity(file: Path) -> str:
    """Which file this is, wherever it was moved: its first line, hashed. Empty before that line is complete."""
    with file.open("rb") as opened:
        first = opened.readline()
    return blake2b(first, digest_size=16).hexdigest() if first.endswith(b"\n") else ""


class Ingest:
    """The reader of one log file. A rotated one is `<file>.1`, and is deleted once it has been read: it holds keys."""

    def __init__(self, engine: Engine, file: Path) -> None:
        self.engine, self.file, self.old = engine, file, file.with_name(f"{file.name}.1")
        self.begun = time.monotonic()
        self.name = f"{gethostname()}:{file}"  # several nodes can share a database

    def read(self) -> int:
        """Take up to BATCH complete lines; the count of those taken, of which 0 says that there are no more."""
        with writing(self.engine) as session:
            insert_new(session, Reading, [{"name": self.name, "identity": "", "offset": 0}])
            place = session.get_one(Reading, self.name, with_for_update=True)
            lines = list(islice(self._after(place), BATCH))
            rows = self._parsed(lines)
            insert_new(session, Exposure, [line.exposure() for line in rows if not line.mirror])
            insert_new(session, Mirrored, [line.mirrored() for line in rows if line.mirror])
            done = self.old.exists() and self.file.exists() and place.identity == identity(self.file) != ""
        if done:
            self.old.unlink()
        return len(lines)

    def rotate(self, reopen: Callable[[], None]) -> None:
        """Put a file aside that is larger than LIMIT or older than AGE; `reopen` makes Envoy begin another.

        It is called again as long as there is no new file, so an earlier call may have failed, or never happened.
        """
        size = self.file.stat().st_size if self.file.exists() else 0
        if size and not self.old.exists() and (size > LIMIT or time.monotonic() - self.begun > AGE):
            self.file.rename(self.old)
            self.begun = time.monotonic()
        if self.old.exists() and not self.file.exists():
            reopen()

    def _after(self, place: Reading) -> Iterator[bytes]:
        """The lines after `place`, which moves along. Once Envoy has begun a new file it writes no more to the old."""
        files = [(self.file, False)] if self.file.exists() else []
        if self.old.exists():
            files.insert(0, (self.old, bool(files)))
        known = [identity(file) for file, _ in files]
        start = known.index(place.identity) if place.identity in known else 0
        for (file, finished), name in list(zip(files, known, strict=True))[start:]:
            if not name:
                continue
            with file.open("rb") as opened:
                if name != place.identity or file.stat().st_size < place.offset:
                    place.identity, place.offset = name, 0
                opened.seek(place.offset)
                for line in opened:
                    if not (finished or line.endswith(b"\n")):
                        return
                    place.offset += len(line)
                    yield line

    def _parsed(self, lines: list[bytes]) -> list[Line]:
        """Without the malformed ones. The log says how many, and not what they hold: keys."""
        rows, fault = [], None
        for line in lines:
            try:
                rows.append(Line.model_validate_json(line.decode(errors="replace")))
            except ValidationError as invalid:
                fault = invalid
        if fault:
            first = fault.errors()[0]
            logger.warning(
                "%s: %d malformed lines skipped; of the last, %s: %s",
                *(self.file, len(lines) - len(rows), ".".join(map(str, first["loc"])) or "line", first["msg"]),
            )
        return rows


def forget(engine: Engine, before: float) -> None:
    """Delete requests and feedback from before that time (seconds since the epoch); the changes stay."""
    with writing(engine) as session:
        session.execute(delete(Exposure).where(Exposure.at < before))
        session.execute(delete(Mirrored).where(Mirrored.at < before))
        session.execute(delete(Feedback).where(Feedback.received < before))
