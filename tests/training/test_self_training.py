"""Self-training: it learns from what it is sure of, and never sees the labels that it was not given."""

import pytest

from marina.training import run, self_training
from marina.training.data.dataset import Split, hold_out
from marina.training.tasks.image_classification.task import ImageClassification
from tests.training.kit import Stop, card_in, same, weights_of


@pytest.fixture(autouse=True)
def rounds(monkeypatch):
    monkeypatch.setattr(self_training, "ROUNDS", 1)
    monkeypatch.setattr(self_training, "CONFIDENCE", 0.6)


def test_the_card_shows_what_the_labels_alone_gave_and_what_came_of_it(card, small):
    card("digits_cnn", epochs=4)
    folder = run.train("digits_cnn", "few", labels=0.5)
    shown = card_in(folder)["self_training"]
    half = run.QUICK["train"] // 2
    assert (shown["labels"], shown["unlabelled"]) == (half, half)
    first, last = shown["rounds"]
    assert first["pseudo_labels"] == 0
    assert 0 < last["pseudo_labels"] <= half
    assert (shown["supervised"], shown["self_trained"]) == (first["accuracy"], last["accuracy"])
    assert card_in(folder)["metrics"]["accuracy"] == pytest.approx(shown["self_trained"], abs=1e-6)
    assert not list(folder.rglob("checkpoints"))
    assert card_in(run.train("digits_cnn", "all"))["fingerprint"] != card_in(folder)["fingerprint"]


def test_labels_that_were_not_given_make_no_difference(card, small, monkeypatch):
    card("digits_cnn", epochs=2)
    honest = run.train("digits_cnn", "honest", labels=0.5)

    def with_lies(split: Split, share: float) -> tuple[Split, Split]:
        unlabelled, labelled = hold_out(split, share)
        return Split(unlabelled.inputs, [9 - target for target in unlabelled.targets]), labelled

    monkeypatch.setattr(self_training, "hold_out", with_lies)
    lied = run.train("digits_cnn", "lied", labels=0.5)
    assert same(weights_of(honest), weights_of(lied))


def test_a_stopped_run_goes_on_in_its_round(card, small, monkeypatch):
    card("digits_cnn", epochs=2)
    whole = run.train("digits_cnn", "whole", labels=0.5)
    stop = Stop(monkeypatch, ImageClassification, epoch=1)
    with pytest.raises(SystemExit):
        run.train("digits_cnn", "stopped", labels=0.5)
    resumed = run.train("digits_cnn", "stopped", labels=0.5)
    assert stop.epochs == [0, 1, 0, 1]  # epoch 0 of the first round was not done again
    assert same(weights_of(whole), weights_of(resumed))


@pytest.mark.parametrize(("name", "labels"), [("digits_cnn", 1.5), ("digits_cnn", 0.0), ("housing_mlp", 0.5)])
def test_what_cannot_be_is_refused(small, name, labels):
    with pytest.raises(ValueError, match="--labels takes a share"):
        run.train(name, "bad", labels=labels)
