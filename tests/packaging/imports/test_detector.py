"""Detectors of torchvision: the response is the library's own output, and one line for what does not fit."""

import io
from hashlib import sha256

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet18
from torchvision.models.detection import (
    fasterrcnn_mobilenet_v3_large_320_fpn,
    ssdlite320_mobilenet_v3_large,
)
from torchvision.transforms.functional import to_tensor

from handlers.codecs.image import png
from marina.errors import ModelImportError
from marina.hosting.host import HostedRequest
from marina.packaging.imports import detector
from marina.packaging.imports.imported_model import ImportOptions
from tests.packaging.imports.test_imports import one_line

TASK = "object_detection"
NONE = {"weights": None, "weights_backbone": None}
SIZES = ((96, 64), (50, 120))


def image(width: int, height: int) -> Image.Image:
    """Smooth noise: a random network sees differences between regions."""
    noise = np.random.default_rng(width).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def request(picture: Image.Image, explain: bool = False) -> HostedRequest:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return HostedRequest.of_body(file.getvalue(), "image/png", {"threshold": "0", "top": "300"}, explain)


def random_detector(builder, **arguments) -> nn.Module:
    """A network of three classes whose scores differ: as they are made, random layers end in equal ones."""
    torch.manual_seed(0)
    network = builder(**NONE, num_classes=3, **arguments).eval()
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and not name.startswith(("rpn", "roi_heads")):
            nn.init.kaiming_normal_(module.weight)
    return network


def saved(folder, builder, labels: str = "", **arguments) -> ImportOptions:
    """Save a random network of three classes, and return the options that import it."""
    torch.save({"model": random_detector(builder).state_dict()}, folder / "w.pth")
    (folder / "labels.txt").write_text(labels)
    name = f"torchvision.models.detection:{builder.__name__}"
    return ImportOptions(folder / "w.pth", name, folder / "labels.txt" if labels else None, arguments=arguments)


@pytest.mark.parametrize(
    ("builder", "arguments"),
    [
        (fasterrcnn_mobilenet_v3_large_320_fpn, {"box_score_thresh": 0.0, "rpn_post_nms_top_n_test": 20}),
        (ssdlite320_mobilenet_v3_large, {"score_thresh": 0.0, "topk_candidates": 50}),
    ],
)
def test_the_response_is_the_librarys_own_output(tmp_path, opened, builder, arguments):
    options = saved(tmp_path, builder, "cat\ndog", **arguments)
    model = detector.imported(options)
    assert model.labels == [detector.BACKGROUND, "cat", "dog"]
    assert model.arguments["num_classes"] == 3
    assert detector.FROZEN not in model.found
    network = random_detector(builder, **options.arguments)
    host = opened(TASK, model)
    assert host.batch_size == 1
    pictures = [image(*size) for size in SIZES]
    responses = host.batch([request(picture) for picture in pictures])  # of two sizes in one batch
    for picture, response in zip(pictures, responses, strict=True):
        with torch.inference_mode():
            (expected,) = network([to_tensor(picture)])
        objects = response.json["objects"]
        assert len(objects) == len(expected["boxes"]) >= len({one["score"] for one in objects}) > 5
        assert [one["label"] for one in objects] == [model.labels[number] for number in expected["labels"]]
        for member, found in (("boxes", "box"), ("scores", "score")):
            torch.testing.assert_close(
                torch.tensor([one[found] for one in objects]), expected[member], atol=1e-5, rtol=0
            )


def test_an_object_is_explained(tmp_path, opened):
    options = saved(tmp_path, ssdlite320_mobilenet_v3_large, detections_per_img=3, topk_candidates=3)
    host = opened(TASK, detector.imported(options))
    host.card["serving"]["explain_steps"] = 1
    (response,) = host.batch([request(image(96, 64), explain=True)])
    assert response.status == 200, response.body
    assert response.json["target"]["label"] in {"1", "2"}
    (refused,) = host.batch([HostedRequest.of_body(b"none", "image/png")])
    assert (refused.status, refused.json["field"]) == (400, "image")


def test_what_does_not_fit_is_explained_in_one_line(tmp_path):
    options = saved(tmp_path, ssdlite320_mobilenet_v3_large, "a\nb\nc\nd")
    with pytest.raises(ModelImportError, match=one_line("have 3 classes with the background, .*labels.txt has 4 lab")):
        detector.imported(options)
    other = "torchvision.models.detection:fasterrcnn_mobilenet_v3_large_320_fpn"
    for network, message in (
        (other, f"w.pth does not fit {other}: .* keys are missing"),
        ("torchvision.models:resnet18", "w.pth does not fit torchvision.models:resnet18: "),
        (None, "--task object_detection needs --network"),
    ):
        with pytest.raises(ModelImportError, match=one_line(message)):
            detector.imported(ImportOptions(options.weights, network))
    with pytest.raises(ModelImportError, match=one_line("--argument weights_backbone: nothing is downloaded")):
        detector.imported(ImportOptions(options.weights, options.network, arguments={"weights_backbone": "DEFAULT"}))
    state = torch.load(options.weights)["model"]
    name = next(iter(state))
    torch.save(state | {name: torch.full_like(state[name], float("nan"))}, options.weights)
    with pytest.raises(ModelImportError, match=one_line(f"w.pth: {name} has values that are not finite")):
        detector.imported(options)
    torch.save(resnet18(num_classes=2).state_dict(), options.weights)
    with pytest.raises(ModelImportError, match=one_line("torchvision.models:resnet18 fails on a list of two images")):
        detector.imported(ImportOptions(options.weights, "torchvision.models:resnet18"))


def test_frozen_normalization_is_noticed(tmp_path):
    options = saved(tmp_path, ssdlite320_mobilenet_v3_large)
    state = torch.load(options.weights)["model"]
    torch.save({name: value for name, value in state.items() if "num_batches" not in name}, options.weights)
    assert detector.FROZEN in detector.imported(options).found


def test_networks_with_sigmoid_heads_have_no_background(tmp_path):
    (tmp_path / "labels.txt").write_text("a\nb\nc")
    options = ImportOptions(tmp_path / "w.pth", "net.py:retinanet", tmp_path / "labels.txt")
    for classes in (3, None):
        assert detector.labels_of(nn.Identity(), classes, options) == ["a", "b", "c"]
    with pytest.raises(ModelImportError, match=one_line("the weights have 4 classes, .*labels.txt has 3 labels")):
        detector.labels_of(nn.Identity(), 4, options)
    with pytest.raises(ModelImportError, match=one_line("net.py:retinanet has no argument num_classes: --labels")):
        detector.labels_of(nn.Identity(), None, ImportOptions(tmp_path / "w.pth", "net.py:retinanet"))


def test_a_detector_is_reported_with_its_origin(tmp_path):
    model = detector.imported(saved(tmp_path, ssdlite320_mobilenet_v3_large))
    file = tmp_path / "w.pth"
    digest = sha256(file.read_bytes()).hexdigest()
    assert model.found[0].startswith("w.pth: ")
    assert model.found[0].endswith(f" values, under 'model'; sha256 {digest[:12]}")
    assert list(model.found[1:]) == ["3 classes, numbered: no --labels", "images of any size"]
    assert model.options == {"threshold": "0"}
    assert model.serving == {"batch_size": 1, "explain_steps": 6, "response_timeout": 120}
    assert model.example == (png(torch.full((3, 240, 320), 128, dtype=torch.uint8)), "image/png")
    assert model.not_exported == "it scales images and applies NMS itself, for one size at a time"
    assert model.source.expression == "LibraryDetector.of(ssdlite320_mobilenet_v3_large)"


class Detecting(nn.Module):
    """Returns or raises `output` for any images."""

    def __init__(self, output) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: list[torch.Tensor]):
        if isinstance(self.output, Exception):
            raise self.output
        return self.output


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (ValueError("too\nmany"), "n fails on a list of two images: too"),
        (ValueError(), "n fails on a list of two images: ValueError"),
        ({"boxes": 1}, "n returns dict; object_detection needs a dictionary for each image"),
        ([{}], "n returns list; object_detection needs a dictionary for each image"),
        ([{}, 3], "n returns list; object_detection needs a dictionary for each image"),
        ([{"boxes": 1}, {}], "n returns no labels, scores of an image; object_detection needs them"),
    ],
)
def test_an_output_that_is_no_detectors_is_described(output, message):
    with pytest.raises(ModelImportError) as refused:
        detector.check_output("n", Detecting(output))
    assert str(refused.value) == message
