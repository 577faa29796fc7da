"""Classes: the best ones in a response, the one that an explanation is about; and explanations of images."""

import base64

import pytest
import torch
from torch import Tensor

from handlers.classification import ClassificationHandler, Item
from handlers.errors import BadRequest
from handlers.heatmap import heatmap
from handlers.image_task import ImageTaskHandler
from handlers.image_task import Item as ImageItem
from handlers.row import Row

LABELS = ["猫", "dog", "owl"]
LOGITS = torch.tensor([1.0, 3.0, 2.0])


class Classifier(ClassificationHandler):
    """Its input is the logits."""

    def decode(self, row):
        raise AssertionError("items are made by hand")

    def collate(self, items):
        return torch.stack([item.input for item in items])

    def attribute(self, item, batch, target):
        if item.as_png:
            return b"\x89PNG"
        return {"weights": batch[:, target].tolist()}


@pytest.fixture
def classifier(tmp_path):
    (tmp_path / "labels.json").write_text('["猫", "dog", "owl"]', encoding="utf-8")
    handler = Classifier()
    handler.folder, handler.device, handler.network = tmp_path, torch.device("cpu"), torch.nn.Identity()
    handler.setup()
    return handler


def row(**headers: str) -> Row:
    return Row({}, headers, "id")


def test_a_request_says_how_many_classes_it_wants_and_in_which_form():
    assert Item.of(row(), "content") == Item("content", top=5, as_png=False)
    options = row(**{"x-request-query": "top=1", "accept": "image/png"})
    assert Item.of(options, "content") == Item("content", top=1, as_png=True)
    with pytest.raises(BadRequest, match="at least 1") as caught:
        Item.of(row(**{"x-request-query": "top=0"}), "content")
    assert caught.value.field == "top"
    assert not Item("content", 5).as_png
    assert ImageItem.of(row(), "content") == ImageItem("content", as_png=False)
    assert ImageItem.of(row(accept="image/png"), "content") == ImageItem("content", as_png=True)


def test_the_best_classes_come_first_with_their_probabilities(classifier):
    reply = classifier.encode(LOGITS, Item(LOGITS, top=2))
    assert reply == {
        "predictions": [{"label": "dog", "probability": 0.665241}, {"label": "owl", "probability": 0.244728}]
    }
    assert [best["label"] for best in classifier.encode(LOGITS, Item(LOGITS, top=9))["predictions"]] == [
        "dog",
        "owl",
        "猫",
    ]


def test_of_equal_classes_the_first_one_comes_first(classifier):
    classifier.labels = [str(number) for number in range(40)]
    reply = classifier.encode(torch.zeros(40), Item(None, top=40))
    assert [best["label"] for best in reply["predictions"]] == classifier.labels


@pytest.mark.parametrize(("target", "number"), [(None, 1), ("猫", 0), ("owl", 2)])
def test_an_explanation_is_about_the_best_class_or_the_one_asked_for(classifier, target, number):
    reply = classifier.explain(Item(LOGITS, 5), target)
    probability = round(float(LOGITS.softmax(0)[number]), 6)
    assert reply == {
        "target": {"label": LABELS[number], "probability": probability},
        "weights": [float(LOGITS[number])],
    }


def test_the_probability_of_a_target_takes_no_gradient(classifier):
    modes = []
    classifier.network = lambda batch: modes.append(torch.is_inference_mode_enabled()) or batch
    classifier.explain(Item(LOGITS, 5), None)
    assert modes == [True]


def test_a_bare_picture_is_sent_as_one(classifier):
    answer = classifier.explain(Item(LOGITS, 5, as_png=True), None)
    assert (answer.body, answer.content_type, answer.status) == (b"\x89PNG", "image/png", 200)


@pytest.mark.parametrize("count", [3, 20, 21])
def test_an_unknown_class_is_refused_with_the_first_twenty_names(classifier, count):
    classifier.labels = [f"c{number}" for number in range(count)]
    with pytest.raises(BadRequest) as caught:
        classifier.explain(Item(LOGITS, 5), "cow")
    assert caught.value.field == "target"
    names = ", ".join(classifier.labels[:20]) + (", ..." if count > 20 else "")
    assert caught.value.why == f"no class 'cow'; there are: {names}"


class ImageTask(ImageTaskHandler[Tensor]):
    def decode(self, row):
        raise AssertionError("not called")

    def encode(self, output, item):
        raise AssertionError("not called")


@pytest.fixture
def image_task():
    handler = ImageTask()
    handler.card = {"serving": {"explain_steps": 6, "batch_size": 4}}
    return handler


PIXELS = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 4) * 20
BATCH = torch.stack([torch.linspace(0, 1, 12).reshape(3, 4), torch.linspace(0.5, -1, 12).reshape(3, 4)])[None]


def test_an_attribution_is_by_integrated_gradients_from_the_baseline(image_task):
    """For a sum of weights times pixels they are known: weight times the distance from the baseline."""
    weights = torch.linspace(-1, 2, 24).reshape(1, 2, 3, 4)
    seen, cudnn = [], []

    def score(images: Tensor) -> Tensor:
        seen.append(len(images))
        cudnn.append(torch.backends.cudnn.enabled)
        return (images * weights).sum(dim=(1, 2, 3))

    reply = image_task.attributed(PIXELS, BATCH, 0.25, score, as_png=False)
    expected = (weights * (BATCH - 0.25))[0].sum(dim=0)
    assert base64.b64decode(reply["heatmap"]) == heatmap(PIXELS, expected)
    assert reply["convergence_delta"] == pytest.approx(0, abs=1e-4)
    assert max(seen) <= 4  # the most that the worker has memory for
    assert not any(cudnn)
    picture = image_task.attributed(PIXELS, BATCH, 0.25, score, as_png=True)
    assert (picture.body, picture.content_type) == (base64.b64decode(reply["heatmap"]), "image/png")


def test_as_many_steps_are_taken_as_the_card_says(image_task):
    def score(images: Tensor) -> Tensor:
        return torch.sigmoid(30 * images).sum(dim=(1, 2, 3))

    def delta(steps):
        image_task.card["serving"]["explain_steps"] = steps
        return abs(image_task.attributed(PIXELS, BATCH, 0.0, score, as_png=False)["convergence_delta"])

    assert delta(2) > 2 * delta(6) > 100 * delta(50)
