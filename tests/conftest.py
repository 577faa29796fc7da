"""Fixtures that several tests share."""

import os
from collections.abc import Callable, Iterator

import pytest
import torch

from handlers.vision import face_gallery
from tests.support.worker import Worker, untrained


def pytest_configure() -> None:
    """Give each of pytest-xdist's processes its share of the cores."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))))


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
