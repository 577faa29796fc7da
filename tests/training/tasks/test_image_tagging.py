"""Tags: metrics worked out by hand, and a model that is trained on a table of tags."""

from dataclasses import replace

import pytest
from PIL import Image

import models
from marina.training import run, tasks
from marina.training.data import find
from tests.support.own_images import image_folders
from tests.support.voc_samples import devkit
from tests.training.kit import card_in

SCORE = tasks.find("image_tagging").score


def response(**probabilities: float) -> dict:
    return {"tags": [{"label": label, "probability": value} for label, value in probabilities.items()]}


def test_a_tag_counts_from_a_half_on():
    truths = [["cat"], ["cat", "dog"], []]
    found = [response(cat=0.9, dog=0.4), response(cat=0.5, dog=0.2), response(dog=0.8, cat=0.1)]
    metrics = SCORE(truths, found)
    assert metrics["precision"] == pytest.approx(2 / 3)
    assert metrics["recall"] == pytest.approx(2 / 3)
    assert metrics["f1"] == pytest.approx(2 / 3)
    assert metrics["f1_macro"] == pytest.approx(0.5)  # 1 of cat, 0 of dog
    assert metrics["subset_accuracy"] == pytest.approx(1 / 3)


def test_nothing_found_where_nothing_is_scores_without_an_error():
    assert SCORE([[], []], [response(), response(cat=0.1)])["subset_accuracy"] == 1


def test_objects_of_voc_are_tags(elsewhere):
    devkit(elsewhere)
    dataset = find("./VOCdevkit").load("image_tagging")
    assert dataset.labels == ("cat", "dog")
    assert {tuple(target) for target in dataset.train.targets} == {(0,), (0, 1)}


def test_classes_in_folders_are_one_tag_each(elsewhere):
    image_folders(elsewhere / "mine")
    data = find("./mine").load("image_tagging")
    card = replace(models.find("lenet"), task="image_tagging")
    task = tasks.find("image_tagging")(card, card.recipe, data)
    assert task.train_examples.targets.sum(dim=1).tolist() == [1] * len(data.train)
    assert [request.truth for request in task.requests(data)] == [[data.labels[t]] for t in data.test.targets]


def test_a_model_learns_tags_from_a_table(elsewhere, monkeypatch):
    """The halves of an image are tags; the handler that will serve the model finds them."""
    lenet = models.find("lenet")
    monkeypatch.setattr(models, "find", lambda _: replace(lenet, task="image_tagging"))
    images = elsewhere / "mine" / "images"
    images.mkdir(parents=True)
    rows = ["file,label"]
    for number in range(60):
        tags = [tag for bit, tag in enumerate(("left", "right")) if number >> bit & 1]
        image = Image.new("L", (28, 28), "black")
        for tag in tags:
            image.paste(255, (0 if tag == "left" else 14, 0, 14 if tag == "left" else 28, 28))
        image.save(images / f"{number}.png")
        rows.append(f"{number}.png,{'|'.join(tags)}")
    (elsewhere / "mine" / "labels.csv").write_text("\n".join(rows) + "\n")
    own = {"recipe.epochs": 12, "recipe.batch_size": 8, "recipe.augment": ()}
    made = card_in(run.train("lenet", data="mine", own=own))
    assert made["network"] == {"num_classes": 2}
    assert made["metrics"]["f1"] > 0.9
    assert made["metrics"]["map"] > 0.9
    assert set(made["classes"]) == {"left", "right"}
    assert made["example"]["reply"]["threshold"] == 0.5
