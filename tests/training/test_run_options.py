"""Options in place of edits: recorded, kept by later commands, and compared like everything that weights depend on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import models
from marina.errors import MarinaError, ModelImportError, WeightsExistError
from marina.packaging import build
from marina.training import artifacts, changes, input_size, run
from marina.training.tasks.image_classification.task import ImageClassification
from tests.support.own_images import image_folders
from tests.training.kit import Stop, card_in, weights_of

FOLDER = Path("artifacts/lenet/1.0")


@pytest.fixture
def mine(elsewhere) -> Path:
    return image_folders(elsewhere / "mine")


def test_options_are_recorded_and_kept_until_others_are_given(mine, capsys):
    run.train("lenet", data="mine", preset="quick", own={"recipe.lr": 0.5, "serving.batch_size": 3})
    assert "options: recipe.lr=0.5 serving.batch_size=3" in capsys.readouterr().out
    made = card_in(FOLDER)
    assert made["overrides"] == {"recipe.lr": 0.5, "serving.batch_size": 3}
    assert (made["recipe"]["lr"], made["serving"]["batch_size"]) == (0.5, 3)
    run.train("lenet")
    assert "up to date (data mine, preset quick, recipe.lr=0.5 serving.batch_size=3)" in capsys.readouterr().out
    assert card_in(FOLDER) == made
    with pytest.raises(WeightsExistError, match=r"recipe\.lr 0\.5 -> 0\.25"):
        run.train("lenet", own={"recipe.lr": 0.25})
    with pytest.raises(WeightsExistError, match=r"recipe\.lr 0\.5 -> 0\.0"):
        run.train("lenet", own={"recipe.lr": ""})
    # The weights do not depend on how they are served.
    run.train("lenet", own={"serving.batch_size": 5})
    now = card_in(FOLDER)
    assert (now["serving"]["batch_size"], now["recipe"]["lr"]) == (5, 0.5)
    assert now["trained_at"] == made["trained_at"]
    assert changes.packable(now, FOLDER, models.find("lenet"), None) == []
    packed = build.checked_card("lenet", "1.0", FOLDER, "quick", {})
    assert packed["serving"]["batch_size"] == 5
    run.train("lenet", own={"recipe.lr": ""}, replace=True)
    assert card_in(FOLDER)["overrides"] == {"serving.batch_size": 5}
    assert card_in(FOLDER)["recipe"]["lr"] == models.find("lenet").recipe.lr


def test_a_checkpoint_is_loaded_as_far_as_it_fits(mine, elsewhere, capsys):
    torch.manual_seed(1)
    network = models.find("lenet").network(num_classes=7)
    theirs = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": theirs}, elsewhere / "theirs.pth")
    options = {"data": "mine", "preset": "quick", "own": {"recipe.epochs": 0}}
    run.train("lenet", **options, pretrained="theirs.pth")
    head = [name for name, value in weights_of(FOLDER).items() if value.shape != theirs[f"module.{name}"].shape]
    assert f"theirs.pth: {len(theirs) - 2} of {len(theirs)} tensors of the network loaded" in capsys.readouterr().out
    for name, value in weights_of(FOLDER).items():
        assert (name in head) or torch.equal(value, theirs[f"module.{name}"])
    facts = card_in(FOLDER)["checkpoint"]
    assert facts["path"] == str((elsewhere / "theirs.pth").resolve())
    assert "classifier.4.weight (7 x 84, here 2 x 84)" in facts["not_loaded"]
    assert {line.split()[0] for line in facts["not_loaded"]} == set(head)
    assert card_in(FOLDER)["recipe"]["checkpoint"] == facts["sha256"]
    assert "path" not in build.checked_card("lenet", "1.0", FOLDER, "quick", {})["checkpoint"]
    run.train("lenet")
    assert "pretrained theirs.pth)" in capsys.readouterr().out
    (elsewhere / "theirs.pth").write_bytes(b"other")
    run.train("lenet")  # the weights are there
    with pytest.raises(MarinaError, match=r"theirs\.pth has changed; give its path: PRETRAINED="):
        run.train("lenet", own={"recipe.seed": 3}, replace=True)
    run.train("lenet", pretrained="none", replace=True)
    assert "checkpoint" not in card_in(FOLDER)


def test_a_checkpoint_that_does_not_fit_is_refused_before_training(mine, elsewhere):
    save_file({"encoder.weight": torch.zeros(3, 3)}, elsewhere / "other.safetensors")
    with pytest.raises(ModelImportError, match=r"--pretrained other\.safetensors: no weights of LeNet have the names"):
        run.train("lenet", data="mine", preset="quick", pretrained="other.safetensors")
    assert artifacts.stopped(artifacts.scratch_of("lenet", "1.0")) is None, "the next command would start with it again"
    with pytest.raises(MarinaError, match=r"--pretrained missing\.pth: no such file"):
        run.train("lenet", data="mine", pretrained="missing.pth")


def test_a_stopped_run_is_continued_with_its_data_and_options(mine, monkeypatch, capsys):
    stop = Stop(monkeypatch, ImageClassification, epoch=1)
    with pytest.raises(SystemExit):
        run.train("lenet", data="mine", own={"recipe.epochs": 2})
    run.train("lenet")  # as a plain `make archive` does
    assert "lenet 1.0: as its stopped run: data mine, recipe.epochs=2" in capsys.readouterr().out
    assert stop.epochs == [0, 1], "it did not resume"
    made = card_in(FOLDER)
    assert (made["data"]["name"], made["overrides"]) == ("mine", {"recipe.epochs": 2})
    assert not (FOLDER / artifacts.OPTIONS).exists()


def test_other_data_are_another_run_than_the_stopped_one(mine, elsewhere, monkeypatch):
    image_folders(elsewhere / "other", shade=9)
    Stop(monkeypatch, ImageClassification, epoch=0)
    with pytest.raises(SystemExit):
        run.train("lenet", data="mine", preset="quick", own={"recipe.lr": 0.5})
    run.train("lenet", data="other", own={"recipe.epochs": 1})
    assert card_in(FOLDER)["overrides"] == {"recipe.epochs": 1}
    assert card_in(FOLDER)["preset"] == "full"


def test_a_quick_run_has_no_number_of_epochs(mine):
    with pytest.raises(MarinaError, match="a quick run is one epoch, not 20"):
        run.train("lenet", data="mine", preset="quick", own={"recipe.epochs": 20})


def test_data_of_a_run_that_failed_are_not_remembered(elsewhere):
    image_folders(elsewhere / "mine", count=1)
    with pytest.raises(ValueError, match="minimum"):
        run.train("lenet", data="mine", preset="quick")
    assert artifacts.stopped(artifacts.scratch_of("lenet", "1.0")) is None


def test_a_new_version_has_the_data_of_the_newest_one(mine, elsewhere, small, capsys):
    run.train("lenet", data="mine", preset="quick", own={"recipe.lr": 0.5})
    run.train("lenet", "1.1", preset="quick")
    line = "lenet 1.1: data mine, as 1.0; DATA=mnist is the CARD's own. Its options are for 1.0 alone: recipe.lr=0.5"
    assert line in capsys.readouterr().out
    made = card_in(Path("artifacts/lenet/1.1"))
    assert made["data"]["name"] == "mine"
    assert "overrides" not in made
    (elsewhere / "mine").rename(elsewhere / "moved")
    with pytest.raises(LookupError, match="give its path"):
        run.train("lenet", "1.2", preset="quick")


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("lenet", 96, "lenet takes images of 28 pixels a side, not of 96"),
        ("alexnet", 64, "alexnet takes images of 20, 24, 28 or 32 pixels a side, not of 64"),
        ("c3d", 64, "c3d takes images of 32"),
        ("finetuned", 16, "finetuned takes images of 32 and more pixels a side, not of 16"),
    ],
)
def test_a_network_names_the_sizes_that_it_takes(name, size, message):
    card = models.find(name)
    with pytest.raises(MarinaError, match=message):
        input_size.check(card, resized(card, size))


@pytest.mark.parametrize(("name", "size"), [("resnet18", 96), ("yolo", 160), ("ssd", 192), ("faster_rcnn", 160)])
def test_a_size_that_fits_is_accepted(name, size):
    card = models.find(name)
    input_size.check(card, resized(card, size))


def resized(card: models.Card, size: int) -> models.Card:
    return replace(card, input={**card.input, "size": size})


def test_the_options_of_a_run_survive_as_json():
    assert json.loads(json.dumps(run.RunOptions(overrides={"recipe.augment": ("flip",)}).as_json))["overrides"] == {
        "recipe.augment": ["flip"]
    }
