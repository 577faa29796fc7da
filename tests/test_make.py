"""Make and `marina archive` do what is stale and nothing else; `make` alone lists what there is to type."""

import os
import re
import subprocess

import pytest

import models
from marina.cli import packaging
from marina.cli.training import Preset
from marina.packaging import freshness
from marina.settings import ROOT

STARTERS = {name for name in models.names() if models.find(name).starter}
VERBS = [
    "install",
    "data",
    "train",
    "import",
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
    "rollback",
    "defaults",
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
    "mutate",
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


def planned(verb: str, names: set[str] = STARTERS, version: str = "1.0", **options) -> set[str]:
    """The models that `marina archive` would train or pack."""
    jobs = packaging.plan(sorted(names), version, **{"data": None, "preset": None} | options)
    return {job.arguments[1] for job in jobs if job.arguments[0] == verb}


@pytest.fixture
def changed(monkeypatch):
    """Let a file look as if its content had changed."""

    def change(path: str) -> None:
        real = freshness.digest
        monkeypatch.setattr(freshness, "digest", lambda file: "other" if file == ROOT / path else real(file))

    monkeypatch.chdir(ROOT)
    return change


def texts() -> set[str]:
    return {name for name in STARTERS if models.find(name).task == "text_classification"}


def test_a_second_make_archive_does_nothing():
    count = len(STARTERS)
    assert f"Nothing to be done: {count} of {count} archives are up to date." in make("archive").stdout


@pytest.mark.parametrize(
    ("touched", "stale"),
    [
        ("handlers/text_classification.py", texts()),
        ("handlers/codecs/tabular.py", {"housing_mlp"}),
        ("handlers/base.py", STARTERS),
        ("README.md", set()),
    ],
)
def test_a_changed_handler_makes_only_its_archives_stale(changed, touched, stale):
    changed(touched)
    assert planned("pack") == stale
    assert planned("train") == set()


@pytest.mark.parametrize(
    ("touched", "stale"),
    [("models/lenet.py", {"lenet"}), ("models/parts/text.py", texts()), ("artifacts/lenet/1.0/card.json", {"lenet"})],
)
def test_a_changed_model_is_packed_again_and_keeps_its_weights(changed, touched, stale):
    changed(touched)
    assert planned("pack") == stale
    assert planned("train") == set()


def test_a_touched_file_makes_nothing_stale(changed):
    (ROOT / "models" / "lenet.py").touch()
    assert planned("train") == planned("pack") == set()


def test_a_second_version_stands_beside_the_first(changed):
    assert planned("train", {"resnet18"}, "2.0") == planned("pack", {"resnet18"}, "2.0") == {"resnet18"}


def test_names_positions_and_order(changed):
    jobs = packaging.plan(["lenet", "text_cnn"], "9.9", None, None)
    assert [(job.arguments[1], job.arguments[-1]) for job in jobs if job.arguments[0] == "train"] == [
        ("text_cnn", "1 of 2"),
        ("lenet", "2 of 2"),
    ]
    assert {job.name: job.after for job in jobs}["pack lenet"] == {"train lenet"}
    assert [job.name for job in jobs] == ["train text_cnn", "pack text_cnn", "train lenet", "pack lenet"]
    trainable = {name for name in models.names() if models.find(name).recipe}
    assert planned("train", trainable, "9.9") == trainable


def test_what_a_training_begins_with_is_trained_first_and_in_full(changed, monkeypatch, tmp_path):
    monkeypatch.setattr(packaging, "ARTIFACTS", tmp_path)
    monkeypatch.setattr("marina.cli.training.ARTIFACTS", tmp_path)
    jobs = {job.name: job for job in packaging.plan(["invoice"], "1.0", None, Preset.quick)}
    assert jobs["train ctpn"].arguments == ("train", "ctpn")
    assert jobs["train invoice"].after == {"train ctpn", "train crnn"}
    assert "quick" in jobs["train invoice"].arguments
    assert jobs["pack invoice"].after == {"train invoice"}


def test_a_preset_or_data_is_checked_by_packing_and_never_trained_over(changed):
    assert planned("pack", preset=Preset.quick) == STARTERS
    assert planned("pack", {"lenet"}, data="elsewhere") == {"lenet"}
    assert planned("train", preset=Preset.quick, data="elsewhere") == set()
    assert planned("train", {"lenet"}, replace=True) == planned("pack", {"lenet"}, replace=True) == {"lenet"}


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["archive"], "marina archive starter --version 1.0 --jobs 2"),
        (
            ["train", "MODELS=lenet vgg", "JOBS=3", "PRESET=quick"],
            "train lenet vgg --version 1.0 --jobs 3 --preset quick",
        ),
        (
            ["train", "MODEL=lenet", "VERSION=2.0", "DATA=my pictures"],
            'lenet --version 2.0 --jobs 2 --data "my pictures"',
        ),
        (
            ["train", "MODEL=table", "DATA=customers.csv", "TARGET=has left"],
            'table --version 1.0 --jobs 2 --data "customers.csv" --target "has left"',
        ),
        (
            ["import", "NAME=churn", "TASK=tabular_prediction", "WEIGHTS=p.onnx"],
            'marina import churn --weights "p.onnx" --task tabular_prediction --version 1.0',
        ),
        (["train", "MODEL=lenet", "REPLACE=1"], "train lenet --version 1.0 --jobs 2 --replace"),
        (["archive", "MODEL=lenet", "REPLACE=0"], "archive lenet --version 1.0 --jobs 2"),
        (
            ["archive", "MODEL=lenet", "FLOOR=accuracy=0.9 f1=0.8", "ACCEPT=1"],
            "lenet --version 1.0 --jobs 2 --floor accuracy=0.9 --floor f1=0.8 --accept",
        ),
        (
            ["train", "MODEL=lenet", "SIZE=32", "EPOCHS=20", "LR=1e-3", "SET=augment=flip serving.batch_size=4"],
            "--size 32 --epochs 20 --lr 1e-3 --set augment=flip --set serving.batch_size=4 $",
        ),
        (["archive", "MODEL=lenet", "PRETRAINED=my weights.pth"], '--jobs 2 --pretrained "my weights.pth" $'),
        (["serve"], "marina serve $"),
        (["serve", "PORT=8800"], "marina serve --port 8800 $"),
        (["predict", "MODEL=lenet", "FILE=x.png"], "marina predict lenet x.png $"),
        (["predict", "MODEL=lenet", "FILE=x.png", "VERSION=2.0"], "marina predict lenet x.png --version 2.0 $"),
        (["explain", "MODEL=lenet", "FILE=x.png", "VERSION=2.0"], "marina explain lenet x.png --version 2.0 $"),
        (["set-default", "MODEL=a", "VERSION=2.0", "WHY=it is new"], 'set-default a 2.0 --why "it is new" $'),
        (["rollback", "MODEL=a", "WHY=it is slow"], 'marina rollback a --why "it is slow" $'),
        (["defaults", "MODEL=a"], "marina defaults a $"),
        (["scale", "MODEL=lenet", "VERSION=1.0", "WORKERS=2"], "marina scale lenet 1.0 2 $"),
        (["serve", "MODELS=all"], "marina serve all"),
        (["serve", "MODEL=lenet"], "marina serve lenet"),
        (
            ["ab-weights", "EXP=e", "WEIGHTS=a@1=50 b@1=50", "WHY=it is late"],
            'ab weights e "a@1=50 b@1=50" --why "it is late"',
        ),
    ],
)
def test_a_target_is_one_line_that_calls_marina(arguments, command):
    lines = make("--dry-run", *arguments).stdout.splitlines()
    assert len(lines) == 1
    assert re.sub(" +", " ", command) in re.sub(" +", " ", f"{lines[0]} $")


@pytest.mark.parametrize("verb", ["set-default", "retire", "scale", "register"])
@pytest.mark.parametrize("given", [["MODEL=lenet"], ["VERSION=2.0"], []])
def test_nothing_that_is_served_changes_by_a_version_that_nobody_gave(verb, given, monkeypatch):
    monkeypatch.setenv("VERSION", "7.0")  # as continuous integration sets it
    refused = make("--dry-run", verb, "WORKERS=2", *given)
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert f"give MODEL= and VERSION=, as in `make {verb} MODEL=resnet18 VERSION=2.0`" in line


def test_scaling_needs_a_number_of_workers():
    assert "give WORKERS=, as in WORKERS=2" in make("--dry-run", "scale", "MODEL=lenet", "VERSION=1.0").stderr


def test_an_unknown_model_is_refused_with_the_models_that_exist():
    refused = make("archive", "MODEL=resnet19")
    assert refused.returncode != 0
    assert "no model resnet19" in refused.stderr
    assert "resnet18" in refused.stderr


def test_help_explains_every_verb():
    shown = re.sub(r"\x1b\[\d*m", "", make().stdout)  # without the colours
    assert shown == re.sub(r"\x1b\[\d*m", "", make("help").stdout)
    for verb in VERBS:
        assert re.search(rf"^  {verb} +\S.* \w+", shown, re.MULTILINE), verb
    for variable in ("MODELS", "VERSION", "DATA", "PRESET", "REPLACE", "FLOOR", "ACCEPT", "PORT"):
        assert re.search(rf"^  {variable}=", shown, re.MULTILINE), variable
