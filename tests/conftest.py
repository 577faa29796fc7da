"""Fixtures that several tests share."""

from collections.abc import Callable, Iterator

import pytest

from handlers.vision import face_gallery
from tests.worker import Worker, untrained


@pytest.fixture(scope="session", autouse=True)
def gallery_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use an empty gallery: no test depends on another run or server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(face_gallery.FOLDER, str(tmp_path_factory.mktemp("gallery")))
        yield


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Worker]:
    """Function `worker(name)`: a worker with that model's network and random weights."""
    made: dict[str, Worker] = {}

    def of(name: str) -> Worker:
        if name not in made:
            made[name] = Worker(untrained(name, tmp_path_factory.mktemp("artifacts") / name))
        return made[name]

    return of
