"""Training from the CARD to the artifacts: whole, repeatable, and only when needed."""

import json
import os
import re
import shutil
import sys
from dataclasses import replace

import pytest
import torch
from lightning.pytorch.callbacks import RichProgressBar
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import models
from marina.training import run, tasks, trainer
from marina.training.data import Dataset, Split, find
from marina.training.tasks.common import word_vectors
from marina.training.tasks.image_classification.task import ImageClassification
from marina.training.tasks.tabular_regression.task import TabularRegression
from models.card import Recipe
from tests.training.kit import ROOT, card_in, same, weights_of

ONE_OF_EACH = ("housing_mlp", "lenet", "mobilenet_v1", "text_lstm")  # a task, and channels last


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_quick_training_leaves_all_that_serving_needs(name, monkeypatch):
    monkeypatch.chdir(ROOT)  # the data sets are there, or come to be
    version = f"test-{os.getpid()}"
    try:
        folder = run.train(name, version, preset="quick")
        assert "reply" in card_in(folder)["example"]
        card, written = models.find(name), card_in(folder)
        assert (written["name"], written["version"], written["preset"]) == (name, version, "quick")
        assert set(card.floor) <= set(written["metrics"])
        assert all(0 <= value < 100 for value in written["metrics"].values())
        assert written["data"]["kind"] in ("embedded", "real")
        assert written["data"]["sizes"]["test"] > 0
        assert written["explain"]["cost"] > 0
        assert written["libraries"]["torch"] == torch.__version__.split("+")[0]
        assert (folder / written["example"]["file"]).stat().st_size > 0
        assert list((folder / "plots").glob("*.png"))
        tags = EventAccumulator(str(folder / "logs")).Reload().Tags()
        assert {"loss/train", "loss/validation", "lr-AdamW"} <= set(tags["scalars"])
        assert tags["images"] == (["images/train"] if card.task == "image_classification" else [])
        assert not list(folder.parent.glob(f".{version}*"))
        assert not (folder / "checkpoints").exists()
        card.network(**written["network"]).load_state_dict(weights_of(folder))
        if card.task.endswith("classification"):
            labels = json.loads((folder / "labels.json").read_text())
            assert list(written["classes"]) == labels
            assert sum(map(sum, written["confusion_matrix"])) == written["data"]["sizes"]["test"]
            assert 0 <= written["metrics"]["roc_auc"] <= 1
    finally:
        for left in (version, f".{version}.unfinished"):
            shutil.rmtree(f"artifacts/{name}/{left}", ignore_errors=True)


def test_seeds_repeat_and_matter(card, small):
    card("digits_cnn", epochs=1, seed=3)
    one, again = run.train("digits_cnn", "one"), run.train("digits_cnn", "again")
    assert same(weights_of(one), weights_of(again))
    card("digits_cnn", epochs=1, seed=4)
    assert not same(weights_of(one), weights_of(run.train("digits_cnn", "other")))


def test_what_is_up_to_date_is_left_alone_but_for_what_the_card_says(card, small, monkeypatch, capsys):
    card("lenet", epochs=1)
    folder = run.train("lenet")
    made = (folder / "model.safetensors").stat().st_mtime_ns
    before = card_in(folder)
    os.utime(folder / "card.json", (0, 0))
    changed = replace(models.find("lenet"), anchor="something else")
    monkeypatch.setattr(models, "find", lambda _: changed)
    run.train("lenet")
    assert "up to date" in capsys.readouterr().out
    assert (folder / "model.safetensors").stat().st_mtime_ns == made
    assert (folder / "card.json").stat().st_mtime > 0  # make sees that it was looked at
    assert card_in(folder) == before | {"anchor": "something else"}
    card("lenet", epochs=1, lr=1e-5)
    run.train("lenet", replace=True)
    assert (folder / "model.safetensors").stat().st_mtime_ns > made


def test_runs_side_by_side_show_lines_for_a_bar(card, small, monkeypatch, capsys):
    """Without a terminal (here), and under `make -j`: a line has epoch, metrics and the seconds that are left."""
    card("lenet", epochs=3, batch_size=64)
    run.train("lenet")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  lenet: epoch")]
    assert [line.split(",")[0] for line in lines] == [f"  lenet: epoch {epoch} of 3" for epoch in (1, 2, 3)]
    assert all(re.search(r"loss \d\.\d+, accuracy 0\.\d+, \d+ s left$", line) for line in lines)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    assert isinstance(trainer.progress_bar(), RichProgressBar)
    monkeypatch.setenv("MAKEFLAGS", " -j2 --jobserver-auth=3,4")
    assert isinstance(trainer.progress_bar(), trainer.ProgressLines)


def test_early_stopping_ends_the_run_and_keeps_the_best_weights(card, small, monkeypatch):
    """A learning rate that blows the network up after a good start: the good start is kept."""
    card("housing_mlp", epochs=30, lr=1e-3, schedule="constant", patience=2)
    losses = []
    usual = TabularRegression.on_train_epoch_start

    def start(task) -> None:
        losses.append(float(task.trainer.callback_metrics.get("loss/validation", 9.0)))
        usual(task)
        if task.current_epoch == 4:
            for group in task.trainer.optimizers[0].param_groups:
                group["lr"] = 3.0

    monkeypatch.setattr(TabularRegression, "on_train_epoch_start", start)
    folder = run.train("housing_mlp")
    assert 5 < len(losses) < 12
    assert losses[-1] > 2 * min(losses)
    # The saved weights are those of the best epoch: they are worth its loss, not the last.
    data = find("housing").load()
    task = TabularRegression(models.find("x"), models.find("x").recipe, run.quick_subset(data))
    task.network.load_state_dict(weights_of(folder))
    inputs, targets = task.validation_examples[list(range(len(task.validation_examples)))]
    with torch.inference_mode():
        loss = float(task.loss(task.network(inputs), targets))
    assert loss == pytest.approx(min(losses), rel=1e-4)


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_is_found_and_has_a_handler(name):
    assert tasks.find(name).__module__.removesuffix(".task") == f"marina.training.tasks.{name}"
    assert (ROOT / "handlers" / f"{name}.py").is_file()


def test_unknown_names_are_refused_with_those_there_are():
    with pytest.raises(LookupError, match="image_classification"):
        tasks.find("no_such_task")
    recipe = Recipe(epochs=1, batch_size=1, lr=1, augment=("flip", "no_such"))
    with pytest.raises(ValueError, match=r"no_such; there are: affine"):
        ImageClassification(models.find("lenet"), recipe, run.quick_subset(find("mnist").load()))


def test_a_network_that_is_not_trained_is_no_use_by_its_own_card(card, small):
    """The metrics are measured, not made up: without learning, accuracy is that of a guess."""
    card("lenet", epochs=1, lr=1e-12, augment=())
    assert card_in(run.train("lenet"))["metrics"]["accuracy"] < 0.3


def test_words_in_the_same_company_get_vectors_alike():
    sentences = [[2, 4, 5], [3, 4, 5], [6, 7, 8], [6, 8, 7]] * 20  # 2 and 3 are never seen together
    own = word_vectors.pmi_vectors([torch.tensor(words) for words in sentences], 9, 4, seed=0)
    alike = torch.nn.functional.cosine_similarity
    assert alike(own[2], own[3], dim=0) > 0.8 > alike(own[2], own[6], dim=0)
    assert own[0].abs().max() < 1e-6  # padding keeps no company


def test_a_task_may_want_fewer_examples_for_a_quick_run():
    data = Dataset(*[Split(range(1000), range(1000))] * 3)
    assert run.quick_subset(data).sizes == run.QUICK
    assert run.quick_subset(data, {"train": 12}).sizes == {**run.QUICK, "train": 12}
    assert tasks.find("document_ocr").QUICK["train"] < run.QUICK["train"]


def test_a_data_set_cut_to_its_own_sizes_is_whole():
    data = Dataset(*[Split(range(5), range(5))] * 3)
    assert data.head({}).sizes == data.sizes == data.head(data.sizes).sizes
    assert list(data.head({"train": 2}).train.inputs) == [0, 1]
    assert data.head({"train": 2}).sizes == {"train": 2, "validation": 5, "test": 5}
