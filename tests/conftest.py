"""Fixtures that several tests share."""

from collections.abc import Callable, Iterator

import pytest

from handlers import gallery
from tests.worker import Worker, untrained


@pytest.fixture(scope="session", autouse=True)
def gallery_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees whom another run, or a server beside it, has enrolled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(gallery.FOLDER, str(tmp_path_factory.mktemp("gallery")))
        yield


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Worker]:
    """`worker(name)`: a worker with that model's network and random weights."""
    made: dict[str, Worker] = {}

    def of(name: str) -> Worker:
        if name not in made:
            made[name] = Worker(untrained(name, tmp_path_factory.mktemp("artifacts") / name))
        return made[name]

    return of
