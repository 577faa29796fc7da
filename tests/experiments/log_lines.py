"""Lines of Envoy's log, and queries for the rows that they become."""

import json
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, select

from marina.experiments.database import Base, Exposure, read_session

NOW = 1_763_800_000.0  # seconds since the epoch


def line(request_id: str, summary: dict | None = None, **fields) -> str:
    """The line of a request to experiment e at NOW; m@2.0 responded in 25 ms."""
    common = {
        "id": request_id,
        "client": "10.0.0.1",
        "time": f"{NOW:.6f}",
        "experiment": "e",
        "assigned": "m@2.0",
        "variant": "m@2.0",
        "source": "split",
        "status": 200,
        "microseconds": 25_000,
        "key": None,
        "prediction": summary and quote(json.dumps(summary)),
        "mirror": None,
        "flags": "-",
    }
    return json.dumps(common | fields) + "\n"


def add(file: Path, *lines: str) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("a") as opened:
        opened.writelines(lines)


def ids(engine: Engine, table: type[Base] = Exposure) -> list[str]:
    with read_session(engine) as session:
        return list(session.scalars(select(table.id).order_by(table.id)))


def one(engine: Engine, request_id: str) -> Exposure:
    with read_session(engine) as session:
        return session.get_one(Exposure, request_id)
