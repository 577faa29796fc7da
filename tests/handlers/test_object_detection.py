"""Object detection: boxes, options, objects that are certain, and a VOC folder through all the hops."""

import base64
import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import batched_nms, box_iou

import models
from marina.packaging.build import build
from marina.training import run
from marina.training.tasks.common.boxes import BoxAugment, average_precision
from models.parts.anchors import CODER, default_boxes, hard_negatives, match
from tests.support.samples import picture
from tests.support.voc_samples import devkit
from tests.support.worker import SampleRequest, Worker
from tests.tasks.object_detection import ALL

NAMES = [name for name in models.names() if models.find(name).task == "object_detection"]
DETECTORS = NAMES + [name for name in models.names() if models.find(name).task == "instance_segmentation"]
EXPLAIN = {"explain": "True"}
PNG = {"accept": "image/png"}


@pytest.mark.parametrize("name", DETECTORS)
def test_threshold_and_top_limit_the_objects_which_are_in_order_and_within_the_image(worker, name):
    (everything,) = worker(name).send(SampleRequest({"body": picture(size=(300, 100)), "threshold": b"0"}))
    scores = [found["score"] for found in everything.json["objects"]]
    assert scores == sorted(scores, reverse=True)
    for found in everything.json["objects"]:
        x1, y1, x2, y2 = found["box"]
        assert 0 <= x1 <= x2 <= 300
        assert 0 <= y1 <= y2 <= 100
    apart = max(range(1, len(scores)), key=lambda place: scores[place - 1] - scores[place])
    middle = (scores[apart - 1] + scores[apart]) / 2
    (some,) = worker(name).send(SampleRequest({"body": picture(size=(300, 100)), "threshold": str(middle).encode()}))
    assert [found["score"] for found in some.json["objects"]] == scores[:apart]
    (two,) = worker(name).send(SampleRequest({"body": picture(size=(300, 100)), "threshold": b"0", "top": b"2"}))
    assert two.json["objects"] == everything.json["objects"][:2]
    (none,) = worker(name).send(SampleRequest({"body": picture(), "threshold": b"1"}))
    assert (none.status, none.json["objects"]) == (200, [])


@pytest.mark.parametrize("name", DETECTORS)
def test_a_png_on_request_has_a_readable_size(worker, name):
    for size, shown in (((48, 32), (256, 171)), ((600, 400), (600, 400)), ((3000, 1500), (1024, 512))):
        fields = {"body": picture(size=size), **ALL}
        with_boxes, without = worker(name).send(
            SampleRequest(fields, PNG), SampleRequest({**fields, "threshold": b"1"}, PNG)
        )
        assert with_boxes.content_type == "image/png"
        assert Image.open(io.BytesIO(with_boxes.body)).size == shown
        assert with_boxes.body != without.body


@pytest.mark.parametrize("name", DETECTORS)
def test_the_requested_object_is_explained(worker, name):
    (response,) = worker(name).send(SampleRequest({"body": picture(), "threshold": b"0"}))
    found = response.json["objects"]
    label = found[-1]["label"]
    cases = {(): found[0], (("object", b"2"),): found[2]}
    cases[(("target", label.encode()),)] = next(one for one in found if one["label"] == label)
    for options, about in cases.items():
        (response,) = worker(name).send(SampleRequest({"body": picture(), "threshold": b"0", **dict(options)}, EXPLAIN))
        assert response.json["target"] == about
    heatmap = Image.open(io.BytesIO(base64.b64decode(response.json["heatmap"])))
    assert heatmap.width > heatmap.height >= 200  # the image, without what is beside it in its square
    (bare,) = worker(name).send(SampleRequest({"body": picture(), **ALL}, {**EXPLAIN, **PNG}))
    assert bare.content_type == "image/png"


@pytest.mark.parametrize("name", DETECTORS)
def test_an_object_that_was_not_found_is_not_explained(worker, name):
    cases = (({"threshold": b"1"}, "image"), ({"threshold": b"0", "object": b"999"}, "object"))
    for options, field in cases:
        (response,) = worker(name).send(SampleRequest({"body": picture(), **options}, EXPLAIN))
        assert (response.status, response.json["field"]) == (400, field)
        assert "found" in response.json["message"]


def test_the_heatmap_marks_the_pixels_that_determine_a_box(worker, monkeypatch):
    """The score is the brightness of one corner: the heatmap marks it, and nothing else."""
    handler = worker("ssd").handler
    box = torch.tensor([[80.0, 80, 120, 120]])

    def detections(raw):
        return [{"boxes": box, "labels": torch.tensor([7]), "scores": row.view(1)} for row in raw]

    monkeypatch.setattr(
        handler, "optimized_network", lambda images: images[:, :, 80:112, 80:112].mean(dim=(1, 2, 3)).sigmoid()
    )
    monkeypatch.setattr(handler.network, "detections", detections)
    about = {"boxes": box, "labels": torch.tensor([7]), "scores": torch.tensor([0.9])}
    weights = handler._occluded(torch.full((1, 3, 128, 128), 2.0), about)
    inside = weights[84:108, 84:108]
    assert inside.min() > 0
    assert weights[:64].abs().max() == 0
    assert weights[:, :64].abs().max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_best_of_overlapping_boxes_of_a_class_is_kept(name):
    network = models.find(name).network(num_classes=3, size=128)
    boxes = torch.tensor([[10.0, 10, 50, 50], [12, 12, 52, 52], [60, 60, 99, 99], [11, 11, 51, 51]])
    scores = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.3, 0.0, 0.0], [0.0, 0.0, 0.7]])
    found = network.best(boxes, scores)
    kept = [(int(label), round(float(score), 2)) for label, score in zip(found["labels"], found["scores"], strict=True)]
    assert kept[:4] == [(0, 0.9), (2, 0.7), (0, 0.3), (1, 0.2)]
    again = batched_nms(found["boxes"], found["scores"], found["labels"], 0.45)
    assert len(again) == len(found["scores"])


def test_every_object_has_a_default_box_and_offsets_lead_back_to_it():
    anchors, places = default_boxes(128, [8, 16, 32], [0.15, 0.28, 0.5, 0.75], [2, 3])
    assert (len(anchors), places) == (6 * (16 * 16 + 8 * 8 + 4 * 4), 6)
    boxes = torch.tensor([[3.0, 3, 8, 40], [50, 50, 90, 95], [1, 1, 127, 127]])
    classes, offsets = match({"boxes": boxes, "labels": torch.tensor([4, 0, 9])}, anchors)
    assert set(classes.tolist()) == {0, 5, 1, 10}
    back = CODER.decode_single(offsets, anchors)
    for label, box in zip((5, 1, 10), boxes, strict=True):
        torch.testing.assert_close(
            back[classes == label], box.expand(int((classes == label).sum()), 4), atol=1e-3, rtol=0
        )
    none, _ = match({"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}, anchors)
    assert not none.any()


def test_hard_negatives_are_the_worst_three_for_each_match():
    losses = torch.tensor([[9.0, 1, 5, 4, 3, 2], [6, 5, 4, 3, 2, 1]])
    matched = torch.tensor([[True, False, False, False, False, False], [False] * 6])
    assert hard_negatives(losses, matched).tolist() == [[False, False, True, True, True, False], [False] * 6]


@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps_on_one_image_find_its_objects(name):
    torch.manual_seed(0)
    network = models.find(name).network(num_classes=3, size=128)
    images = torch.zeros(2, 3, 128, 128)
    images[:, 0, 20:60, 30:62] = 2
    images[:, 1, 70:120, 70:110] = -2
    target = {"boxes": torch.tensor([[30.0, 20, 62, 60], [70, 70, 110, 120]]), "labels": torch.tensor([2, 0])}
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1  # a few steps are too few for the means of a backbone that learns slowly
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(list(network.losses(images, [target, target]).values())).sum().backward()
        optimizer.step()
    network.eval()
    with torch.inference_mode():
        found = network.detections(network(images))[0]
    assert sorted(found["labels"][:2].tolist()) == [0, 2]
    order = found["labels"][:2].argsort(descending=True)
    assert box_iou(found["boxes"][:2][order], target["boxes"]).diag().min() > 0.5


def test_boxes_move_with_the_pixels():
    images = torch.zeros(8, 3, 128, 128, dtype=torch.uint8)
    images[:, :, 40:80, 30:90] = 255
    target = {"boxes": torch.tensor([[30.0, 40, 90, 80]]), "labels": torch.tensor([1])}
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    torch.manual_seed(0)
    pixels, targets = BoxAugment(("shift",), (0.0, 0.0, 0.0))(images, [target] * 7 + [nothing], few=2)
    assert len({tuple(one["boxes"].flatten().tolist()) for one in targets[:7]}) == 4
    assert len(targets[7]["boxes"]) == 0
    for image, one in zip(pixels, targets[:7], strict=False):
        rows, columns = np.nonzero(image[0].numpy() > 127)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert one["boxes"].tolist()[0] == pytest.approx(edges, abs=1.5)
    with pytest.raises(ValueError, match=r"there are: .*shift"):
        BoxAugment(("erase",), (0.0, 0.0, 0.0))


def test_average_precision_lets_difficult_objects_be_found_or_not():
    truth = {"boxes": [[0, 0, 10, 10], [50, 50, 80, 80]], "labels": ["a", "a"], "difficult": [False, True]}
    found = [
        {"label": "a", "score": score, "box": box} for score, box in ((0.9, [50, 50, 80, 80]), (0.8, [0, 0, 10, 10]))
    ]
    for objects, value in ((found, 1.0), (found[1:], 1.0), (found[:1], 0.0), ([], 0.0)):
        got = average_precision([truth], [{"objects": objects}], ["a"])
        assert float(got["map_50"]) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_voc_folder_goes_the_same_way_as_the_stand_in(tmp_path, monkeypatch, name):
    """Train one epoch on other classes and image sizes, with the same model file, handler and archive code."""
    devkit(tmp_path)
    monkeypatch.chdir(tmp_path)
    folder = run.train(name, data="./VOCdevkit", preset="quick").resolve()
    card = json.loads((folder / "card.json").read_text())
    assert (card["data"]["kind"], card["data"]["sizes"]["test"]) == ("real", 4)
    assert {"map_50", "map"} <= set(card["metrics"])
    assert json.loads((folder / "labels.json").read_text()) == ["cat", "dog"]
    assert {file.name for file in (folder / "plots").iterdir()} >= {"precision_recall.png", "detections.png"}
    archive = build(name, "1.0", tmp_path / "artifacts", tmp_path / "store", tmp_path / "keys", "quick")
    with zipfile.ZipFile(archive) as mar:
        assert {"models/parts/detection.py", "handlers/codecs/letterbox.py"} <= set(mar.namelist())
    photo = (tmp_path / "VOCdevkit" / "VOC2007" / "JPEGImages" / "000003.jpg").read_bytes()
    (response,) = Worker(folder).send(SampleRequest({"body": photo, "threshold": b"0"}))
    assert {found["label"] for found in response.json["objects"]} <= {"cat", "dog"}
