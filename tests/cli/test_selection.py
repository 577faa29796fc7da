"""Models are selected and ordered from their CARDs' source text."""

import json
import os

import pytest

import models
from marina.cli import selection, training
from marina.errors import MarinaError, NoRecipeError

STARTER_SECONDS = 70  # of training, by the CARDs: the first command ends within three minutes on two cores


@pytest.mark.parametrize("name", models.names())
def test_the_facts_are_those_of_the_card(name):
    card = models.find(name)
    assert selection.facts(name) == (card.starter, card.warm_start, card.training_seconds, card.recipe is None)
    assert card.training_seconds or card.recipe is None or card.recipe.epochs == 0
    assert set(card.warm_start) <= set(models.names())


def test_starter_and_all_stand_for_many():
    starters = [name for name in models.names() if models.find(name).starter]
    assert selection.select(["starter"]) == starters
    assert selection.select(["all"]) == [name for name in models.names() if models.find(name).recipe]
    assert selection.select(["vgg", "starter", "vgg"]) == ["vgg", *starters]


IMPORTED = (
    """from models.card import Card\nCARD = Card(name="mine", task="image_classification", network=dict, source="")"""
)


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """A folder of models with an imported one, `mine`, beside lenet."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.py").write_text(IMPORTED)
    (tmp_path / "models" / "lenet.py").write_text((selection.ROOT / "models" / "lenet.py").read_text())
    monkeypatch.setattr(selection, "ROOT", tmp_path)
    monkeypatch.setattr(models, "names", lambda: ["lenet", "mine"])
    selection.facts.cache_clear()
    yield
    selection.facts.cache_clear()


def test_all_leaves_out_imported_models_without_weights(imported):
    assert selection.select(["all"]) == ["lenet"]
    assert selection.select(["all"], {"mine"}) == ["lenet", "mine"]
    assert selection.select(["mine"]) == ["mine"]


def test_an_imported_model_is_not_trained(imported):
    selection.check_trainable(["lenet"])
    with pytest.raises(NoRecipeError, match="mine can't be trained here: it was imported, and its CARD has no recipe"):
        training.training_jobs(["lenet", "mine"], "1.0", None, None)


def test_an_unknown_name_is_refused_with_the_names_that_exist():
    with pytest.raises(MarinaError, match=r"no model resnet19; there are: .*resnet18"):
        selection.select(["lenet", "resnet19"])


def trained(folder, name, version, seconds, preset="full", age=0.0):
    file = folder / name / version / "card.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"seconds": seconds, "preset": preset}))
    os.utime(file, (1e9 - age, 1e9 - age))


def test_the_longest_goes_first_by_what_the_last_training_here_took(tmp_path):
    names = ["digits_cnn", "lenet", "rnn_lm"]
    assert selection.longest_first(names, tmp_path) == ["rnn_lm", "digits_cnn", "lenet"]
    trained(tmp_path, "lenet", "1.0", 9000.0, age=10)
    assert selection.longest_first(names, tmp_path) == ["lenet", "rnn_lm", "digits_cnn"]
    trained(tmp_path, "lenet", "2.0", 1.0)
    assert selection.longest_first(names, tmp_path) == ["rnn_lm", "digits_cnn", "lenet"]


def test_what_is_not_trained_goes_first(tmp_path):
    names = ["lenet", "efficientnet_lite0", "rnn_lm"]
    assert selection.longest_first(names, tmp_path) == ["efficientnet_lite0", "rnn_lm", "lenet"]


def test_the_starters_are_of_three_tasks_and_trained_within_their_budget(tmp_path):
    starters = [name for name in models.names() if models.find(name).starter]
    assert sum(models.find(name).training_seconds for name in starters) <= STARTER_SECONDS
    assert {models.find(name).task for name in starters} == {
        "image_classification",
        "tabular_regression",
        "text_classification",
    }
    assert selection.longest_first(starters, tmp_path)[0] == "efficientnet_lite0"


def test_a_quick_training_tells_nothing_of_a_full_one(tmp_path):
    trained(tmp_path, "lenet", "1.0", 1e6, preset="quick")
    assert selection.training_seconds("lenet", tmp_path) == models.find("lenet").training_seconds


def test_a_warm_start_is_missing_until_it_is_trained_or_among_the_names(tmp_path):
    assert selection.missing_warm_starts(["invoice", "lenet"], tmp_path) == ["ctpn", "crnn"]
    assert selection.missing_warm_starts(["invoice", "crnn"], tmp_path) == ["ctpn"]
    trained(tmp_path, "ctpn", "1.0", 1.0)
    assert selection.missing_warm_starts(["invoice"], tmp_path) == ["crnn"]
