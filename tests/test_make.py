"""Make does what is stale and nothing else; `make` alone says what there is to type."""

import os
import re
import subprocess

import pytest

import models
from archive.sources import ROOT

STARTERS = {name for name in models.names() if models.find(name).starter}
VERBS = [
    "install",
    "data",
    "train",
    "archive",
    "sign",
    "verify",
    "serve",
    "stop",
    "status",
    "logs",
    "register",
    "scale",
    "set-default",
    "retire",
    "predict",
    "explain",
    "token",
    "load-test",
    "export",
    "gpu-check",
    "test",
    "test-zoo",
    "lint",
    "clean",
    "help",
    "ab",
    "ab-create",
    "ab-weights",
    "ab-promote",
    "ab-rollback",
    "ab-mirror",
    "ab-stop",
    "ab-report",
]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def planned(verb: str, *arguments: str) -> set[str]:
    """The models for which `make` would run `python -m training train` or `python -m archive build`."""
    plan = make("--dry-run", *arguments)
    assert plan.returncode == 0, plan.stderr
    return set(re.findall(rf"-m \w+ {verb} (\w+)", plan.stdout))


def texts() -> set[str]:
    return {name for name in STARTERS if models.find(name).task == "text_classification"}


def test_a_second_make_archive_does_nothing():
    assert planned("build", "archive") == planned("train", "archive") == set()
    assert "Nothing to be done" in make("archive").stdout


@pytest.mark.parametrize(
    ("touched", "stale"),
    [
        ("handlers/text_classification.py", texts()),
        ("handlers/codecs/table.py", {"housing_mlp"}),
        ("handlers/base.py", STARTERS),
        ("models/parts/text.py", texts()),
        ("artifacts/lenet/1.0/card.json", {"lenet"}),
        ("README.md", set()),
    ],
)
def test_a_touched_file_makes_only_its_archives_stale(touched, stale):
    assert planned("build", "--what-if", touched, "archive") == stale
    assert planned("train", "--what-if", touched, "archive") == set()


def test_a_touched_model_is_trained_and_packed_again():
    assert planned("train", "--what-if", "models/lenet.py", "archive") == {"lenet"}
    assert planned("build", "--what-if", "models/lenet.py", "archive") == {"lenet"}


def test_a_second_version_stands_beside_the_first():
    plan = make("--dry-run", "archive", "MODEL=resnet18", "VERSION=2.0").stdout
    assert "training train resnet18 --version 2.0" in plan
    assert "archive build resnet18 --version 2.0" in plan
    assert planned("train", "train", "MODEL=resnet18", "VERSION=2.0") == {"resnet18"}


def test_names_and_positions():
    plan = make("--dry-run", "archive", "MODELS=lenet text_cnn", "VERSION=9.9").stdout
    longest_first = [("text_cnn", "1 of 2"), ("lenet", "2 of 2")]
    assert re.findall(r'build (\w+) .*--position "(.*)"', plan) == longest_first
    assert planned("train", "archive", "MODELS=all", "VERSION=9.9") == set(models.names())
    assert planned("train", "archive", "VERSION=9.9") == STARTERS


@pytest.mark.parametrize(
    ("arguments", "jobs"),
    [
        (["archive"], ["2"]),
        (["train", "archive", "JOBS=3"], ["3"]),
        (["test"], ["2"]),
        (["archive", "MODEL=lenet"], []),  # alone, it gets all cores
        (["stop", "serve"], []),  # one after the other, or there is nothing left to stop
        (["archive", "serve"], []),
        ([], []),
    ],
)
def test_models_are_made_side_by_side_and_nothing_else_is(arguments, jobs):
    (flags,) = re.findall(r"^MAKEFLAGS = (.*)", make("--dry-run", "--print-data-base", *arguments).stdout, re.MULTILINE)
    assert re.findall(r"-j(\d+)", flags) == jobs


def test_a_preset_or_other_data_always_asks_training():
    assert planned("train", "train", "PRESET=quick") == STARTERS
    assert planned("train", "train", "MODEL=lenet", "DATA=elsewhere") == {"lenet"}


def test_an_unknown_model_is_told_what_there_is():
    answer = make("archive", "MODEL=resnet19")
    assert answer.returncode != 0
    assert "no model resnet19" in answer.stdout
    assert "resnet18" in answer.stdout


def test_help_explains_every_verb():
    shown = re.sub(r"\x1b\[\d*m", "", make().stdout)  # without the colours
    assert shown == re.sub(r"\x1b\[\d*m", "", make("help").stdout)
    for verb in VERBS:
        assert re.search(rf"^  {verb} +\S.* \w+", shown, re.MULTILINE), verb
    for variable in ("MODELS", "VERSION", "DATA", "PRESET"):
        assert re.search(rf"^  {variable}=", shown, re.MULTILINE), variable
