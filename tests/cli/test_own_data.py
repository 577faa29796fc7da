"""The user's weights survive `marina archive` and changes of the model's file."""

import json
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from marina.cli import option_flags, packaging, training
from marina.cli.training import Preset
from marina.errors import MarinaError
from marina.packaging import freshness
from marina.settings import ROOT
from tests.support.checkout import copied, marina
from tests.support.own_images import image_folders


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of the code, in which the user has images of their own."""
    image_folders(tmp_path / "mine")
    return copied(tmp_path)


def test_a_changed_model_and_archive_leave_the_users_weights(checkout):
    trained = marina(checkout, "train", "lenet", "--data", "mine", "--epochs", "2", "--set", "serving.batch_size=3")
    assert trained.returncode == 0, trained.stderr
    assert "options: recipe.epochs=2 serving.batch_size=3" in trained.stdout
    assert "no floor on mine; published: 99.0 % on full MNIST" in trained.stdout
    folder, file = checkout / "artifacts" / "lenet" / "1.0", checkout / "models" / "lenet.py"
    weights, labels = (folder / "model.safetensors").read_bytes(), (folder / "labels.json").read_text()
    file.write_text(file.read_text().replace("epochs=", "seed=5, epochs="))  # as `git pull` may
    packed = marina(checkout, "archive", "lenet")
    assert packed.returncode == 0, packed.stderr
    assert "weights of an older recipe or network (recipe.seed 0 -> 5): REPLACE=1 trains again" in packed.stdout
    assert (folder / "model.safetensors").read_bytes() == weights
    with zipfile.ZipFile(checkout / "archive" / "store" / "lenet-1.0.mar") as archive:
        assert sha256(archive.read("model.safetensors")).digest() == sha256(weights).digest()
        assert archive.read("labels.json").decode() == labels
        assert "batchSize: 3" in archive.read("model-config.yaml").decode()
        assert json.loads(archive.read("card.json"))["data"]["name"] == "mine"
        assert json.loads(labels) == ["cat", "dog"]
    again = marina(checkout, "archive", "lenet")
    assert again.stdout.strip() == "Nothing to be done: 1 of 1 archives are up to date."
    refused = marina(checkout, "train", "lenet")
    assert refused.returncode == 1
    assert "recipe.seed 0 -> 5" in refused.stderr
    assert "VERSION=1.1" in refused.stderr
    assert (folder / "model.safetensors").read_bytes() == weights


@pytest.fixture
def trained(tmp_path, monkeypatch) -> Path:
    """Artifacts of lenet and an archive that is up to date; nothing is really trained."""
    monkeypatch.chdir(tmp_path)
    for module in (packaging, training):
        monkeypatch.setattr(module, "ARTIFACTS", tmp_path / "artifacts")
    card, archive = tmp_path / "artifacts/lenet/1.0/card.json", tmp_path / "archive/store/lenet-1.0.mar"
    for file in (card, archive):
        file.parent.mkdir(parents=True)
        file.write_text("{}")
    freshness.record(archive, [Path("models/lenet.py"), card], ROOT)
    return tmp_path


def verbs(*arguments, **options) -> list[str]:
    jobs = packaging.plan(["lenet"], *arguments, **options)
    assert [job.after for job in jobs if job.arguments[0] == "pack"] in ([], [{"train lenet"} & {j.name for j in jobs}])
    return [job.arguments[0] for job in jobs]


def test_only_what_is_not_trained_is_trained(trained, monkeypatch):
    assert verbs("1.0", None, None) == []
    assert verbs("2.0", None, None) == ["train", "pack"]
    real = freshness.digest
    monkeypatch.setattr(freshness, "digest", lambda file: "other" if file.name == "lenet.py" else real(file))
    assert verbs("1.0", None, None) == ["pack"]


def test_data_preset_and_floors_of_trained_weights_are_checked_by_packing(trained):
    (job,) = packaging.plan(["lenet"], "1.0", "elsewhere", Preset.quick, more=["--accept"])
    words = " ".join(job.arguments)
    assert words == "pack lenet --version 1.0 --preset quick --data elsewhere --accept --position 1 of 1"


def test_options_are_compared_with_trained_weights(trained):
    """Training decides: it refuses, or updates card.json, and the archive is packed again."""
    train, pack = packaging.plan(
        ["lenet"], "1.0", None, None, options=option_flags.flags_of(["recipe.lr=0.1"], "a.pth")
    )
    assert " ".join(train.arguments).endswith("--set recipe.lr=0.1 --pretrained a.pth")
    assert "--set" not in pack.arguments
    assert "--replace" not in train.arguments


def test_options_that_a_model_does_not_take_are_refused_before_anything_is_trained():
    with pytest.raises(MarinaError, match=r"housing_mlp has no option input\.size"):
        option_flags.overrides_of(["lenet", "housing_mlp"], option_flags.words_of(96, None, None, None, None))


def test_replace_is_a_request_to_train(trained):
    train, pack = packaging.plan(["lenet"], "1.0", None, None, replace=True)
    assert "--replace" in train.arguments
    assert "--preset full" in " ".join(train.arguments), "packing a quick run would be refused"
    assert "--replace" not in pack.arguments
    (job,) = training.training_jobs(["lenet"], "1.0", None, None)
    assert "--replace" not in job.arguments
