"""Classifiers: the best classes of a response, the class to explain; and explanations of images."""

import base64

import pytest
import torch
from torch import Tensor

from handlers.classification import ClassificationHandler, TopKInput
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.vision.drawing import heatmap
from handlers.vision.image_handler import ImageExplanationHandler, ImageInput

LABELS = ["猫", "dog", "owl"]
LOGITS = torch.tensor([1.0, 3.0, 2.0])


class Classifier(ClassificationHandler):
    """A handler whose input is the logits."""

    def decode(self, request):
        raise AssertionError("items are made by hand")

    def collate(self, inputs):
        return torch.stack([decoded.value for decoded in inputs])

    def attribute(self, decoded, batch, target):
        if decoded.as_png:
            return b"\x89PNG"
        return {"weights": batch[:, target].tolist()}


@pytest.fixture
def classifier(tmp_path):
    (tmp_path / "labels.json").write_text('["猫", "dog", "owl"]', encoding="utf-8")
    handler = Classifier()
    handler.folder, handler.device, handler.network = tmp_path, torch.device("cpu"), torch.nn.Identity()
    handler.setup()
    return handler


def request(**headers: str) -> Request:
    return Request({}, headers, "id")


def test_options_of_a_request_are_read():
    assert TopKInput.from_request(request(), "content") == TopKInput("content", top=5, as_png=False)
    options = request(**{"x-request-query": "top=1", "accept": "image/png"})
    assert TopKInput.from_request(options, "content") == TopKInput("content", top=1, as_png=True)
    with pytest.raises(BadRequest, match="at least 1") as caught:
        TopKInput.from_request(request(**{"x-request-query": "top=0"}), "content")
    assert caught.value.field == "top"
    assert not TopKInput("content", 5).as_png
    assert ImageInput.from_request(request(), "content") == ImageInput("content", as_png=False)
    assert ImageInput.from_request(request(accept="image/png"), "content") == ImageInput("content", as_png=True)


def test_the_best_classes_come_first_with_their_probabilities(classifier):
    response = classifier.encode(LOGITS, TopKInput(LOGITS, top=2))
    assert response == {
        "predictions": [{"label": "dog", "probability": 0.665241}, {"label": "owl", "probability": 0.244728}]
    }
    assert [best["label"] for best in classifier.encode(LOGITS, TopKInput(LOGITS, top=9))["predictions"]] == [
        "dog",
        "owl",
        "猫",
    ]


def test_of_equal_classes_the_first_one_comes_first(classifier):
    classifier.labels = [str(number) for number in range(40)]
    response = classifier.encode(torch.zeros(40), TopKInput(None, top=40))
    assert [best["label"] for best in response["predictions"]] == classifier.labels


@pytest.mark.parametrize(("target", "number"), [(None, 1), ("猫", 0), ("owl", 2)])
def test_the_target_is_explained_or_the_best_class(classifier, target, number):
    response = classifier.explain(TopKInput(LOGITS, 5), target)
    probability = round(float(LOGITS.softmax(0)[number]), 6)
    assert response == {
        "target": {"label": LABELS[number], "probability": probability},
        "weights": [float(LOGITS[number])],
    }


def test_the_probability_of_a_target_takes_no_gradient(classifier):
    modes = []
    classifier.network = lambda batch: modes.append(torch.is_inference_mode_enabled()) or batch
    classifier.explain(TopKInput(LOGITS, 5), None)
    assert modes == [True]


def test_a_png_is_sent_as_such(classifier):
    response = classifier.explain(TopKInput(LOGITS, 5, as_png=True), None)
    assert (response.body, response.content_type, response.status) == (b"\x89PNG", "image/png", 200)


@pytest.mark.parametrize("count", [3, 20, 21])
def test_an_unknown_class_is_refused_with_the_first_twenty_names(classifier, count):
    classifier.labels = [f"c{number}" for number in range(count)]
    with pytest.raises(BadRequest) as caught:
        classifier.explain(TopKInput(LOGITS, 5), "cow")
    assert caught.value.field == "target"
    names = ", ".join(classifier.labels[:20]) + (", ..." if count > 20 else "")
    assert caught.value.reason == f"no class 'cow'; there are: {names}"


class ImageTask(ImageExplanationHandler[Tensor]):
    def decode(self, request):
        raise AssertionError("not called")

    def encode(self, output, decoded):
        raise AssertionError("not called")


@pytest.fixture
def image_task():
    handler = ImageTask()
    handler.card = {"serving": {"explain_steps": 6, "batch_size": 4}}
    return handler


PIXELS = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 4) * 20
BATCH = torch.stack([torch.linspace(0, 1, 12).reshape(3, 4), torch.linspace(0.5, -1, 12).reshape(3, 4)])[None]


def test_an_attribution_is_by_integrated_gradients_from_the_baseline(image_task):
    """Attributions of a sum of weights times pixels are known: weight times the distance from the baseline."""
    weights = torch.linspace(-1, 2, 24).reshape(1, 2, 3, 4)
    sizes, cudnn = [], []

    def score(images: Tensor) -> Tensor:
        sizes.append(len(images))
        cudnn.append(torch.backends.cudnn.enabled)
        return (images * weights).sum(dim=(1, 2, 3))

    response = image_task.explain_score(PIXELS, BATCH, 0.25, score, as_png=False)
    expected = (weights * (BATCH - 0.25))[0].sum(dim=0)
    assert base64.b64decode(response["heatmap"]) == heatmap(PIXELS, expected)
    assert response["convergence_delta"] == pytest.approx(0, abs=1e-4)
    assert max(sizes) <= 4  # the most that the worker has memory for
    assert not any(cudnn)
    picture = image_task.explain_score(PIXELS, BATCH, 0.25, score, as_png=True)
    assert (picture.body, picture.content_type) == (base64.b64decode(response["heatmap"]), "image/png")


def test_the_card_sets_the_number_of_steps(image_task):
    def score(images: Tensor) -> Tensor:
        return torch.sigmoid(30 * images).sum(dim=(1, 2, 3))

    def delta(steps):
        image_task.card["serving"]["explain_steps"] = steps
        return abs(image_task.explain_score(PIXELS, BATCH, 0.0, score, as_png=False)["convergence_delta"])

    assert delta(2) > 2 * delta(6) > 100 * delta(50)
