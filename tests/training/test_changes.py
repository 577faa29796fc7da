"""Weights are immutable by version: they stay until somebody requests that they be replaced."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import models
from marina.errors import MarinaError, PackagingError, WeightsExistError
from marina.training import artifacts, changes, run
from marina.training.tasks.image_classification.task import ImageClassification
from tests.support.own_images import image_folders
from tests.training.kit import Stop, card_in


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with the images `mine` and the artifacts of lenet that was trained on them, made once."""
    root = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        image_folders(root / "mine")
        run.train("lenet", data="mine", preset="quick")
    return root


@pytest.fixture
def mine(trained, elsewhere) -> Path:
    """Artifacts of lenet, trained on the user's own images in the folder `mine`."""
    shutil.copytree(trained, elsewhere, dirs_exist_ok=True)
    folder = Path("artifacts/lenet/1.0")
    card = card_in(folder)
    card["data"]["path"] = card["data"]["path"].replace(str(trained.resolve()), str(elsewhere.resolve()))
    artifacts.write_json(card, folder / "card.json")
    return folder


@pytest.fixture
def other_model(monkeypatch):
    """`other_model(**members)`: from now on the model lenet has another file, with other members of its CARD."""
    lenet = models.find("lenet")

    def change(network: str = "lenet", **members) -> models.Card:
        recipe = replace(lenet.recipe, **members.pop("recipe", {}))
        changed = replace(lenet, network=models.find(network).network, recipe=recipe, **members)
        monkeypatch.setattr(models, "find", lambda _: changed)
        return changed

    return change


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("model.safetensors", "labels.json", "card.json")}


def test_the_card_remembers_the_users_data(mine, elsewhere):
    data = card_in(mine)["data"]
    assert (data["name"], data["path"], data["kind"]) == ("mine", str((elsewhere / "mine").resolve()), "real")
    assert card_in(mine)["floor"] == {}


def test_without_data_or_preset_a_version_means_those_it_was_trained_with(mine, elsewhere, monkeypatch, capsys):
    before = content(mine)
    assert run.train("lenet") == mine
    assert "lenet 1.0: up to date (data mine, preset quick)" in capsys.readouterr().out
    assert content(mine) == before
    assert not (elsewhere / "data").exists(), "the stand-in was written"


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"data": "other/others"}, "data mine -> others"),
        ({"data": "other/mine"}, "data mine, whose files have changed"),
        ({"preset": "full"}, "preset quick -> full"),
        ({"labels": 0.5}, "labels 1.0 -> 0.5"),
    ],
    ids=str,
)
def test_weights_are_not_replaced_by_others(mine, elsewhere, wanted, line):
    image_folders(elsewhere / "other" / "mine", shade=9)
    image_folders(elsewhere / "other" / "others", shade=9)
    before = content(mine)
    with pytest.raises(WeightsExistError) as refused:
        run.train("lenet", **wanted)
    message = str(refused.value)
    assert message.startswith(f"lenet 1.0 exists, and was made differently: {line}. ")
    assert "VERSION=1.1" in message
    assert "REPLACE=1" in message
    assert content(mine) == before


@pytest.mark.parametrize(
    ("members", "lines"),
    [
        ({"recipe": {"lr": 0.5}}, ["recipe.lr 0.001 -> 0.5"]),
        ({"recipe": {"epochs": 99}}, []),  # quick is one epoch
        ({"recipe": {"precision": "bf16"}}, ["recipe.precision fp32 -> bf16"]),
        ({"network": "digits_cnn"}, ["network code"]),
        ({"network": "digits_cnn", "recipe": {"seed": 3}}, ["recipe.seed 0 -> 3", "network code"]),
        ({"floor": {"accuracy": 2}, "anchor": "other"}, []),
    ],
    ids=str,
)
def test_a_change_of_the_models_file_is_reported_by_name(mine, other_model, members, lines):
    lr = card_in(mine)["recipe"]["lr"]
    lines = [line.replace("0.001", str(lr)) for line in lines]
    card = other_model(**members)
    assert changes.of_model(card_in(mine), mine, card) == lines
    if lines:
        with pytest.raises(WeightsExistError, match=lines[0]):
            run.train("lenet")
    else:
        run.train("lenet")


def test_a_recipe_that_recipes_can_no_longer_hold_is_reported(mine, other_model):
    card = card_in(mine)
    card["recipe"]["dropout"] = 0.5
    assert changes.of_model(card, mine, models.find("lenet")) == ["recipe.dropout 0.5 -> None"]


def test_the_users_files_that_have_changed_do_not_replace_weights(mine, elsewhere):
    (elsewhere / "mine" / "cat" / "0.png").unlink()
    with pytest.raises(WeightsExistError, match="data mine, whose files have changed"):
        run.train("lenet")


def test_replaced_weights_come_from_the_remembered_data(mine, other_model, capsys):
    before = content(mine)
    other_model(recipe={"lr": 0.5})
    run.train("lenet", replace=True)
    after = content(mine)
    assert after["model.safetensors"] != before["model.safetensors"]
    assert after["labels.json"] == before["labels.json"]
    assert card_in(mine)["data"]["name"] == "mine"
    capsys.readouterr()
    run.train("lenet", replace=True)  # a second time, nothing differs
    assert "up to date" in capsys.readouterr().out
    assert content(mine) == after


def test_old_weights_stay_until_the_new_ones_are_trained(mine, elsewhere, monkeypatch):
    before = content(mine)
    image_folders(elsewhere / "other", shade=9)
    Stop(monkeypatch, ImageClassification, epoch=0)
    with pytest.raises(SystemExit):
        run.train("lenet", data="other", replace=True)
    assert content(mine) == before


def test_weights_whose_data_are_gone_stay(mine, elsewhere, other_model):
    (elsewhere / "mine").rename(elsewhere / "moved")
    run.train("lenet")
    run.train("lenet", data="moved")  # the same files
    other_model(recipe={"lr": 0.5})
    with pytest.raises(MarinaError, match="give their path: DATA="):
        run.train("lenet", replace=True)


def test_a_stopped_run_waits_while_other_data_are_trained(card, small, elsewhere, monkeypatch, capsys):
    image_folders(elsewhere / "mine")
    image_folders(elsewhere / "other", shade=9)
    card("lenet", epochs=3)
    stop = Stop(monkeypatch, ImageClassification, epoch=2)
    with pytest.raises(SystemExit):
        run.train("lenet", data="mine")
    run.train("lenet", data="other", preset="quick")
    (aside,) = Path("artifacts/lenet").glob(".1.0.*.unfinished")
    assert f"a stopped run of other data or another recipe is kept in {aside}" in capsys.readouterr().out
    assert stop.epochs == [0, 1, 0]
    run.train("lenet", data="mine", preset="full", replace=True)
    assert stop.epochs == [0, 1, 0, 2], "it did not resume"
    assert card_in(Path("artifacts/lenet/1.0"))["data"]["name"] == "mine"
    assert not list(Path("artifacts/lenet").glob(".*"))


def test_a_run_that_was_stopped_before_a_checkpoint_leaves_nothing(elsewhere):
    scratch = elsewhere / ".1.0.unfinished"
    assert artifacts.begin(scratch, "2:first") is None
    assert artifacts.begin(scratch, "2:second") is None
    assert [file.name for file in elsewhere.iterdir()] == [scratch.name]


def test_weights_that_fit_are_packed_with_todays_code(mine, elsewhere, other_model):
    image_folders(elsewhere / "other", shade=9)
    card = other_model(recipe={"lr": 0.5})
    (line,) = changes.packable(card_in(mine), mine, card, None)
    assert line.startswith("recipe.lr ")
    assert changes.packable(card_in(mine), mine, card, "mine") == [line]
    with pytest.raises(WeightsExistError, match="data mine -> other"):
        changes.packable(card_in(mine), mine, card, "other")


@pytest.mark.parametrize("members", [{"network": "digits_cnn"}, {"task": "face_verification"}], ids=str)
def test_weights_that_no_longer_fit_are_not_packed(mine, other_model, members):
    with pytest.raises(PackagingError, match=r"lenet 1\.0: the weights no longer fit the network .*REPLACE=1"):
        changes.packable(card_in(mine), mine, other_model(**members), None)


def test_the_share_of_labels_of_older_cards():
    assert changes.share_of({}) == 1.0
    assert changes.share_of({"self_training": {"labels": 450, "unlabelled": 4050}}) == 0.1
    assert changes.share_of(json.loads('{"self_training": {"share": 0.15, "labels": 3, "unlabelled": 17}}')) == 0.15
