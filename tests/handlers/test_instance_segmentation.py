"""Instance segmentation: positions and sizes of masks in COCO's run lengths, and a COCO folder from training on."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as masks
from torchvision.ops import box_iou

import models
from handlers.codecs.letterbox import LetterboxCodec
from marina.packaging.build import build
from marina.training import run
from marina.training.tasks.common.boxes import BoxAugment
from marina.training.tasks.instance_segmentation import average_precisions, letterbox_masks
from models.parts.masks import pasted
from tests.support import coco_samples
from tests.support.samples import picture, png
from tests.support.worker import SampleRequest, Worker

NAME = "mask_rcnn"
PNG = {"accept": "image/png"}
SIDE = 28
SQUARE = models.find(NAME).input["size"]  # pixels that the network sees


def white(size) -> bytes:
    return png(Image.new("RGB", size, "white"))


def sees(worker, monkeypatch, boxes, shapes, label=3):
    """Make the network find these objects in every image: boxes in its square, the best first."""
    rows = torch.zeros(32, 6 + SIDE**2)
    for place, (box, shape) in enumerate(zip(boxes, shapes, strict=True)):
        rows[place] = torch.cat([torch.tensor(box), torch.tensor([0.9 - place / 100, label]), shape.flatten()])
    monkeypatch.setattr(worker(NAME).handler, "optimized_network", lambda images: rows.expand(len(images), -1, -1))


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (128, 128), (61, 47), (1000, 30)])
def test_masks_are_in_pixels_of_the_image_as_sent(worker, monkeypatch, size):
    """The mask is the left half of a box with a known position in the image."""
    width, height = size
    box = torch.tensor([[0.1 * width, 0.2 * height, 0.7 * width, 0.8 * height]])
    half = torch.zeros(SIDE, SIDE)
    half[:, : SIDE // 2] = 1
    codec: LetterboxCodec = worker(NAME).handler.codec
    image = codec.letterbox(white(size))
    sees(worker, monkeypatch, image.to_square(box).tolist(), [half])
    (response,) = worker(NAME).send(SampleRequest({"body": white(size)}))
    (found,) = response.json["objects"]
    assert found["mask"]["size"] == [height, width]
    assert found["box"] == pytest.approx(box[0].tolist(), abs=0.02)
    expected = np.zeros((height, width), dtype=np.uint8)
    expected[round(0.2 * height) : round(0.8 * height), round(0.1 * width) : round(0.4 * width)] = 1
    expected = masks.encode(np.asfortranarray(expected))
    assert masks.iou([found["mask"]], [expected], [0])[0, 0] > 0.9
    back = letterbox_masks([found["mask"]], image)[0]  # and training sees it where the network did
    there = pasted(half[None], image.to_square(box), (SQUARE, SQUARE))[0]
    off = max(1, SQUARE / max(size) / 2)  # its edges, by a pixel of the square or half a pixel of the image
    assert (back.bool() != there).sum() <= off * 2 * (there.sum(dim=0).max() + there.sum(dim=1).max())


def test_a_picture_shows_the_masks_in_the_image(worker, monkeypatch):
    sees(worker, monkeypatch, [[0.25 * SQUARE] * 2 + [0.75 * SQUARE] * 2], [torch.ones(SIDE, SIDE)])
    (got,) = worker(NAME).send(SampleRequest({"body": white((256, 256))}, PNG))
    shown = np.array(Image.open(io.BytesIO(got.body)).convert("RGB")).astype(int)
    assert shown.shape == (256, 256, 3)
    assert (shown[80:180, 80:180] != 255).any(axis=2).all()  # coloured where the object is
    assert (shown[200:, 200:] == 255).all()


def test_an_image_without_objects_has_an_empty_response(worker, monkeypatch):
    sees(worker, monkeypatch, [], [])
    plain, shown = worker(NAME).send(
        SampleRequest({"body": white((50, 30))}), SampleRequest({"body": white((50, 30))}, PNG)
    )
    assert (plain.status, plain.json["objects"]) == (200, [])
    assert (shown.status, shown.content_type) == (200, "image/png")
    (response,) = worker(NAME).send(SampleRequest({"body": white((50, 30))}, {"explain": "True"}))
    assert (response.status, response.json["field"]) == (400, "image")


def test_an_object_that_any_cover_hides_is_explained(worker, monkeypatch):
    sees(worker, monkeypatch, [[0.25 * SQUARE] * 2 + [0.75 * SQUARE] * 2], [torch.ones(SIDE, SIDE)])
    always = worker(NAME).handler.optimized_network

    def only_in_the_whole_image(images):
        whole = images.flatten(2).std(dim=2).amax(dim=1) < 1e-3  # it is white all over
        return always(images) * whole.view(-1, 1, 1)

    monkeypatch.setattr(worker(NAME).handler, "optimized_network", only_in_the_whole_image)
    (response,) = worker(NAME).send(SampleRequest({"body": white((50, 50))}, {"explain": "True"}))
    assert response.status == 200
    assert response.json["target"]["label"] == worker(NAME).handler.labels[3]


def test_masks_of_forty_megapixels_are_complete(worker, monkeypatch):
    size = (8000, 5000)
    boxes = (torch.tensor([[8.0 * place, 24, 128, 104 - place] for place in range(8)]) / 128 * SQUARE).tolist()
    middles = (torch.arange(SIDE) + 0.5) / SIDE * 2 - 1
    round_one = (middles[:, None] ** 2 + middles**2 < 0.8).float()
    sees(worker, monkeypatch, boxes, [round_one] * len(boxes))
    (response,) = worker(NAME).send(SampleRequest({"body": white(size)}))
    assert response.status == 200
    found = response.json["objects"]
    assert len(found) == len(boxes)
    assert {tuple(one["mask"]["size"]) for one in found} == {(5000, 8000)}
    assert masks.area(found[0]["mask"]) == pytest.approx(8000 * 5000 * np.pi * 0.8 / 4, rel=0.03)


def test_attributions_of_an_object_are_measured_by_its_mask(worker):
    box = torch.tensor([[20.0, 20, 100, 100]])
    left = torch.zeros(1, SIDE, SIDE)
    left[:, :, : SIDE // 2] = 1
    found = {"boxes": box.expand(3, 4), "shapes": torch.cat([left, 1 - left, torch.ones(1, SIDE, SIDE)])}
    overlaps = worker(NAME).handler.overlaps(found, {"boxes": box, "shapes": left})
    assert overlaps.tolist() == pytest.approx([1, 0, 0.5], abs=0.02)


def test_masks_move_with_the_pixels():
    images = torch.zeros(8, 3, 128, 128, dtype=torch.uint8)
    images[:, :, 40:80, 30:90] = 255
    mask = torch.zeros(1, 128, 128, dtype=torch.uint8)
    mask[:, 40:80, 30:90] = 1
    target = {"boxes": torch.tensor([[30.0, 40, 90, 80]]), "labels": torch.tensor([1]), "masks": mask}
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "masks": mask[:0]}
    torch.manual_seed(0)
    pixels, targets = BoxAugment(("shift",), (0.0, 0.0, 0.0))(images, [target] * 7 + [nothing], few=2)
    assert targets[7]["masks"].shape == (0, 128, 128)
    for image, one in zip(pixels, targets[:7], strict=False):
        drawn = image[0] > 127
        assert (drawn != one["masks"][0].bool()).sum() < 0.05 * drawn.sum()
    assert any(not torch.equal(one["masks"], mask) for one in targets[:7])


def test_average_precision_of_masks_is_separate_from_that_of_boxes():
    def rle(left, right):
        mask = np.zeros((40, 40), dtype=np.uint8, order="F")
        mask[:, left:right] = 1
        return {"size": [40, 40], "counts": masks.encode(mask)["counts"].decode()}

    truth = {"boxes": [[0, 0, 20, 40]], "labels": ["a"], "difficult": [False], "masks": [rle(0, 20)]}
    for (left, right), value in (((0, 20), 1.0), ((2, 20), 1.0), ((14, 20), 0.0)):
        found = {"label": "a", "score": 0.9, "box": [0, 0, 20, 40], "mask": rle(left, right)}
        got = average_precisions([truth], [{"objects": [found]}], ["a"])
        assert float(got["map_50"]) == pytest.approx(value, abs=1e-3)
        assert float(got["box_map_50"]) == pytest.approx(1, abs=1e-3)
    crowded = {**truth, "difficult": [True]}
    nothing = {"boxes": [], "labels": [], "difficult": [], "masks": []}
    got = average_precisions([truth, crowded, nothing], [{"objects": [found]}, *[{"objects": []}] * 2], ["a"])
    assert float(got["box_map_50"]) == pytest.approx(1, abs=1e-3)  # what is in a crowd need not be found


def test_a_few_steps_on_one_image_find_its_objects_and_their_outlines():
    torch.manual_seed(0)
    network = models.find(NAME).network(num_classes=3, size=128)
    images = torch.zeros(2, 3, 128, 128)
    mask = torch.zeros(2, 128, 128, dtype=torch.uint8)
    mask[0, 20:60, 30:62] = 1
    mask[1, 70:120, 70:110] = 1
    mask[0, 32:48, 42:62] = 0  # a bracket
    images[:, 0][:, mask[0].bool()] = 2
    images[:, 1][:, mask[1].bool()] = -2
    target = {"boxes": torch.tensor([[30.0, 20, 62, 60], [70, 70, 110, 120]]), "labels": torch.tensor([2, 0])}
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(list(network.losses(images, [{**target, "masks": mask}] * 2).values())).sum().backward()
        optimizer.step()
    network.eval()
    with torch.inference_mode():
        found = network.detections(network(images))[0]
    assert sorted(found["labels"][:2].tolist()) == [0, 2]
    order = found["labels"][:2].argsort(descending=True)
    assert box_iou(found["boxes"][:2][order], target["boxes"]).diag().min() > 0.65
    found_masks = pasted(found["shapes"][:2][order], found["boxes"][:2][order], (128, 128))
    assert ((found_masks & mask.bool()).sum(dim=(1, 2)) / (found_masks | mask.bool()).sum(dim=(1, 2))).min() > 0.6


def test_a_coco_folder_goes_the_same_way_as_the_stand_in(tmp_path, monkeypatch):
    """Train one epoch on outlines, crowds, gaps between category numbers and images without objects."""
    coco_samples.folder(tmp_path / "coco")
    monkeypatch.chdir(tmp_path)
    folder = run.train(NAME, data="./coco", preset="quick").resolve()
    card = json.loads((folder / "card.json").read_text())
    assert (card["data"]["kind"], card["data"]["sizes"]["test"]) == ("real", 4)
    assert {"map_50", "map", "box_map_50", "box_map"} <= set(card["metrics"])
    assert json.loads((folder / "labels.json").read_text()) == ["person", "stop sign", "toothbrush"]
    assert {file.name for file in (folder / "plots").iterdir()} >= {"precision_recall.png", "detections.png"}
    archive = build(NAME, "1.0", tmp_path / "artifacts", tmp_path / "store", tmp_path / "keys", "quick")
    with zipfile.ZipFile(archive) as mar:
        assert {"models/parts/two_stage.py", "models/parts/masks.py", "handlers/vision/run_length_encoding.py"} <= set(
            mar.namelist()
        )
    (response,) = Worker(folder).send(SampleRequest({"body": picture(size=(300, 200)), "threshold": b"0"}))
    assert {found["label"] for found in response.json["objects"]} <= {"person", "stop sign", "toothbrush"}
    assert all(found["mask"]["size"] == [200, 300] for found in response.json["objects"])


def test_a_detector_reads_the_same_coco_folder(tmp_path, monkeypatch):
    coco_samples.folder(tmp_path / "coco")
    monkeypatch.chdir(tmp_path)
    card = json.loads((run.train("ssd", data="./coco", preset="quick").resolve() / "card.json").read_text())
    assert card["metrics"].keys() >= {"map_50", "map"}
