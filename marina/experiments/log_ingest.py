"""Ingestion of Envoy's log of exposures into the database.

Each request is stored exactly once, even if this process is killed at any time: a batch of rows and the position after
it are one transaction.
"""

import logging
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from socket import gethostname
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, Field, FiniteFloat, ValidationError
from sqlalchemy import Engine, delete

from marina.experiments.database import (
    Exposure,
    ExposureId,
    Feedback,
    LogPosition,
    MirroredRequest,
    ShortText,
    insert_new,
    write_session,
)

logger = logging.getLogger(__name__)

BATCH = 5_000  # lines of one transaction
MAX_FILE_BYTES = 64 * 2**20  # a larger log file is rotated
MAX_FILE_SECONDS = 86_400.0  # that a process reads one file: it holds users' keys, which nobody needs for long


class PredictionSummary(BaseModel):
    """The part of a prediction that is stored: a class, or a number."""

    label: ShortText | None = None
    probability: FiniteFloat | None = None
    prediction: FiniteFloat | None = None


class LogLine(BaseModel):
    """A line of the log. `mirror` names the variant that got a copy of the request: the line is the copy's then.

    `variant` and `source` come from the response: they are None where there was none.
    """

    id: ExposureId
    time: FiniteFloat
    experiment: ShortText
    assigned: ShortText
    variant: ShortText | None
    source: Literal["split", "fallback", "mirror"] | None
    status: Annotated[int, Field(ge=0, le=999)]
    microseconds: Annotated[int, Field(ge=0)] | None
    key: str | None
    client: str | None
    prediction: str | None
    mirror: ShortText | None

    def exposure(self) -> dict[str, Any]:
        """Return the columns of an `Exposure`."""
        unit = unit_id(self.experiment, self.key) if self.key else address_unit(self.experiment, self.client or "")
        variant = {"assigned": self.assigned, "variant": self.variant or self.assigned}
        return {**self._common(), **variant, "source": self.source or "split", "unit": unit}

    def mirrored(self) -> dict[str, Any]:
        """Return the columns of a `MirroredRequest`."""
        return {**self._common(), "variant": self.variant or self.mirror}

    def _common(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "experiment": self.experiment,
            "at": self.time,
            "status": self.status,
            "seconds": None if self.microseconds is None else self.microseconds / 1e6,
            "prediction": parse_prediction(self.prediction),
        }


def unit_id(experiment: str, key: str) -> str:
    """Return a pseudonym for a user's key: a keyed hash. Whoever can guess the key can still find its rows."""
    salt = blake2b(experiment.encode(), digest_size=16).digest()
    return blake2b(key.encode(), digest_size=16, key=salt).hexdigest()


def address_unit(experiment: str, address: str) -> str:
    """Return the unit of requests without a user's key: the client's address, as a pseudonym.

    Of IPv6 it is the network of 64 bits: all its addresses belong to one client.
    """
    client = str(ip_network(f"{address}/64", strict=False)) if ":" in address else address
    return f"address:{unit_id(experiment, client)}"


def parse_prediction(encoded: str | None) -> dict[str, Any] | None:
    """Return the prediction of an x-prediction header (percent-encoded JSON).

    None for one that can't be parsed: the request counts all the same.
    """
    try:
        return PredictionSummary.model_validate_json(unquote(encoded or "")).model_dump(exclude_none=True) or None
    except ValidationError:
        return None


def file_identity(file: Path) -> str:
    """Return the hash of a file's first line, which identifies it under any name; "" before that line is complete."""
    with file.open("rb") as opened:
        first = opened.readline()
    return blake2b(first, digest_size=16).hexdigest() if first.endswith(b"\n") else ""


class LogIngest:
    """The reader of one log file. A rotated one is `<file>.1`, and is deleted once it has been read: it holds keys."""

    def __init__(self, engine: Engine, file: Path) -> None:
        self.engine, self.file, self.old = engine, file, file.with_name(f"{file.name}.1")
        self.started = time.monotonic()
        self.name = f"{gethostname()}:{file}"  # several nodes can share a database

    def read(self) -> int:
        """Store up to BATCH complete lines; return their count, which is 0 when there are no more."""
        with write_session(self.engine) as session:
            insert_new(session, LogPosition, [{"name": self.name, "identity": "", "offset": 0}])
            position = session.get_one(LogPosition, self.name, with_for_update=True)
            lines = list(islice(self._lines_after(position), BATCH))
            valid = self._parse(lines)
            insert_new(session, Exposure, [line.exposure() for line in valid if not line.mirror])
            insert_new(session, MirroredRequest, [line.mirrored() for line in valid if line.mirror])
            done = self.old.exists() and self.file.exists() and position.identity == file_identity(self.file) != ""
        if done:
            self.old.unlink()
        return len(lines)

    def rotate(self, reopen: Callable[[], None]) -> None:
        """Rotate a file above MAX_FILE_BYTES or MAX_FILE_SECONDS; `reopen` makes Envoy start another.

        It is called again as long as there is no new file, so an earlier call may have failed, or never happened.
        """
        size = self.file.stat().st_size if self.file.exists() else 0
        expired = size > MAX_FILE_BYTES or time.monotonic() - self.started > MAX_FILE_SECONDS
        if size and not self.old.exists() and expired:
            self.file.rename(self.old)
            self.started = time.monotonic()
        if self.old.exists() and not self.file.exists():
            reopen()

    def _lines_after(self, position: LogPosition) -> Iterator[bytes]:
        """Yield the lines after `position`, and advance it. Once Envoy has a new file, the old one is complete."""
        files = [(self.file, False)] if self.file.exists() else []
        if self.old.exists():
            files.insert(0, (self.old, bool(files)))
        identities = [file_identity(file) for file, _ in files]
        start = identities.index(position.identity) if position.identity in identities else 0
        for (file, complete), identity in list(zip(files, identities, strict=True))[start:]:
            if not identity:
                continue
            with file.open("rb") as opened:
                if identity != position.identity or file.stat().st_size < position.offset:
                    position.identity, position.offset = identity, 0
                opened.seek(position.offset)
                for line in opened:
                    if not (complete or line.endswith(b"\n")):
                        return
                    position.offset += len(line)
                    yield line

    def _parse(self, lines: list[bytes]) -> list[LogLine]:
        """Return the well-formed lines. The log gets the count of the others, not their content: it has keys."""
        valid, error = [], None
        for line in lines:
            try:
                valid.append(LogLine.model_validate_json(line.decode(errors="replace")))
            except ValidationError as exc:
                error = exc
        if error:
            first = error.errors()[0]
            logger.warning(
                "%s: %d malformed lines skipped; of the last, %s: %s",
                *(self.file, len(lines) - len(valid), ".".join(map(str, first["loc"])) or "line", first["msg"]),
            )
        return valid


def delete_before(engine: Engine, before: float) -> None:
    """Delete requests and feedback from before that time (seconds since the epoch); the changes stay."""
    with write_session(engine) as session:
        session.execute(delete(Exposure).where(Exposure.at < before))
        session.execute(delete(MirroredRequest).where(MirroredRequest.at < before))
        session.execute(delete(Feedback).where(Feedback.received < before))
