"""EfficientNet-Lite0 with ImageNet's 1,000 classes: published weights, not trained, measured where several labels are
right; and the archive that it becomes.
"""

import json
from pathlib import Path

import pytest
import torch
from skimage import data as photos

import models
from handlers.codecs.image import png
from marina.hosting.host import Host, HostedRequest
from marina.packaging.build import build
from marina.training import pretrained, run, tasks
from marina.training.data import find
from marina.training.data.formats.imagenet_real import categories
from marina.training.tasks.image_classification import acceptable_labels
from tests.training.kit import ROOT, card_in, weights_of

NAME = "efficientnet_lite0"
CATS = {"tabby", "tiger cat", "Egyptian cat"}


def responses(*best: str) -> list[dict]:
    """Responses with five predictions each, such as "tabby lynx dog cat fox"."""
    return [{"predictions": [{"label": label, "probability": 0.5} for label in labels.split()]} for labels in best]


def test_any_acceptable_label_counts_first_or_among_five():
    truths = [("tabby", "lynx"), ("cup",), ("ship",), ("moon",)]
    given = responses("lynx a b c d", "a b c d cup", "a b c d e", "a b c d e moon")
    assert acceptable_labels.score(truths, given) == {"accuracy": 0.25, "top5": 0.5}
    assert acceptable_labels.report(truths, given)["images"][0] == {
        "acceptable": ("tabby", "lynx"),
        "predicted": {"label": "lynx", "probability": 0.5},
    }


def test_labels_one_an_image_have_the_metrics_of_any_classifier():
    task = tasks.find("image_classification")
    assert set(task.score(["a", "b"], responses("a b", "b a"))) == {"accuracy", "precision", "recall", "f1"}
    assert set(task.score([("a",), ("b",)], responses("a b", "b a"))) == {"accuracy", "top5"}


def test_a_network_with_other_classes_is_refused():
    with pytest.raises(ValueError, match="do not match the layers of EfficientNetLite0, its classes included"):
        pretrained.load(models.find(NAME).network(999), "efficientnet_lite0_imagenet")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The artifacts of `marina train efficientnet_lite0`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("imagenet"))
        return run.train(NAME).resolve()


def test_the_weights_are_the_published_ones_and_pass_their_floor(trained):
    published = pretrained.find("efficientnet_lite0_imagenet").state_dict()
    own = weights_of(trained)
    network = models.find(NAME).network(1000)
    assert all(
        torch.equal(own[key], value) for key, value in zip(network.state_dict(), published.values(), strict=True)
    )
    card = card_in(trained)
    assert json.loads((trained / "labels.json").read_text()) == list(categories())
    assert models.find(NAME).below_floor(card["metrics"]) == []
    assert card["data"]["note"] == "8 images are too few to compare networks by"
    assert len(card["images"]) == card["data"]["sizes"]["test"] == len(find("photographs").load().test)
    assert (trained / "card.json").stat().st_size < 20_000, "no table of a million pairs of classes"


def test_the_packed_handler_recognises_and_explains_a_cat(trained, tmp_path):
    archive = build(NAME, "1.0", trained.parents[1], tmp_path / "store", tmp_path / "keys", "full")
    body = png(torch.from_numpy(photos.chelsea()).permute(2, 0, 1))
    with Host.of_archive(archive, tmp_path / "keys" / "signing.pub") as host:
        plain, explained = host.batch(
            [HostedRequest.of_body(body, "image/png"), HostedRequest.of_body(body, "image/png", explain=True)]
        )
    assert plain.status == explained.status == 200
    best = [row["label"] for row in plain.json["predictions"]]
    assert best[0] in CATS
    assert set(best[:3]) == CATS
    assert explained.json["target"]["label"] in CATS
    assert explained.json["heatmap"].startswith("iVBOR")
    assert archive.stat().st_size < 40_000_000
    assert ROOT not in archive.parents
