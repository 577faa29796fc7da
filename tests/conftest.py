"""Fixtures that several tests share."""

from collections.abc import Callable

import pytest

from tests.worker import Worker, untrained


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Worker]:
    """`worker(name)`: a worker with that model's network and random weights."""
    made: dict[str, Worker] = {}

    def of(name: str) -> Worker:
        if name not in made:
            made[name] = Worker(untrained(name, tmp_path_factory.mktemp("artifacts") / name))
        return made[name]

    return of
