"""Bundles that tests share."""

import shutil
from collections.abc import Callable, Iterator

import pytest

import models
from marina.settings import ROOT
from marina.training import evaluation
from marina.training.task import EvaluationRequest
from tests.serve.support.bundle import Bundle, bundle_in
from tests.serve.support.real import STARTERS, TASK


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """A bundle with an empty store, not started."""
    root = tmp_path_factory.mktemp("m")
    (root / "store").mkdir()
    with bundle_in(root, root / "store") as bundle:
        yield bundle


@pytest.fixture(scope="session")
def starters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """A bundle that serves all starter models; what a test changes it puts back."""
    root = tmp_path_factory.mktemp("s")
    shutil.copytree(ROOT / "var" / "keys", root / "var" / "keys")
    with bundle_in(root, ROOT / "archive" / "store") as running:
        running.do("serve", *STARTERS)
        yield running


@pytest.fixture(scope="session")
def tests_of() -> Callable[[str], list[EvaluationRequest]]:
    """`tests_of(name)`: the model's whole test split as requests."""
    made: dict[tuple[str, str], list[EvaluationRequest]] = {}

    def of(name: str) -> list[EvaluationRequest]:
        key = (models.find(name).data, TASK[name])
        if key not in made:
            made[key] = list(evaluation.requests_of(name))
        return made[key]

    return of
