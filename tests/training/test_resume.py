"""A run that was stopped goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from marina.training import artifacts, run
from marina.training.tasks.image_classification.task import ImageClassification
from tests.training.kit import ROOT, Stop, card_in, same, weights_of


def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not_been_stopped(card, small, monkeypatch):
    card("lenet", epochs=4, batch_size=64)
    whole = run.train("lenet", "whole")
    stop = Stop(monkeypatch, ImageClassification, epoch=2)
    with pytest.raises(SystemExit):
        run.train("lenet", "stopped")
    assert stop.epochs == [0, 1]
    assert artifacts.finished(artifacts.folder_of("lenet", "stopped")) is None
    resumed = run.train("lenet", "stopped")
    assert stop.epochs == [0, 1, 2, 3]
    assert same(weights_of(whole), weights_of(resumed))
    assert card_in(whole)["metrics"] == card_in(resumed)["metrics"]


def test_a_run_killed_in_the_middle_goes_on(elsewhere):
    """SIGKILL leaves no time for goodbyes."""
    script = (
        "import os, signal\n"
        "from dataclasses import replace\n"
        "import models\n"
        "from marina.training import run\n"
        "from marina.training.tasks.tabular_regression.task import TabularRegression as Task\n"
        "card = models.find('housing_mlp')\n"
        "card = replace(card, recipe=replace(card.recipe, epochs=6, lr=1e-3, schedule='constant', patience=None))\n"
        "models.find = lambda _: card\n"
        "def start(task, usual=Task.on_train_epoch_start):\n"
        "    print('EPOCH', task.current_epoch, flush=True)\n"
        "    if task.current_epoch == 3 and not os.path.exists('killed'):\n"
        "        open('killed', 'w').close()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    usual(task)\n"
        "Task.on_train_epoch_start = start\n"
        "run.train('housing_mlp')\n"
    )
    epochs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
        )
        epochs.append([line.split()[1] for line in done.stdout.splitlines() if line.startswith("EPOCH")])
    assert done.returncode == 0, done.stderr
    assert epochs == [["0", "1", "2", "3"], ["3", "4", "5"]]
    assert card_in(Path("artifacts/housing_mlp/1.0"))["metrics"]["rmse"] > 0


def test_the_checkpoint_of_another_recipe_is_not_resumed(card, small, monkeypatch):
    card("lenet", epochs=3)
    stop = Stop(monkeypatch, ImageClassification, epoch=2)
    with pytest.raises(SystemExit):
        run.train("lenet")
    card("lenet", epochs=2, lr=1e-4)
    run.train("lenet")
    assert stop.epochs == [0, 1, 0, 1]
