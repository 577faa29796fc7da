"""Semantic segmentation: masks in the image's own pixels, explanations, metrics, and a VOC folder through all hops."""

import base64
import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch.nn.functional import interpolate

import models
from handlers.codecs import segmentation_mask as codec
from handlers.response import MAX_BYTES
from marina.packaging.build import build
from marina.training import evaluation, run
from tests.support.samples import picture, png
from tests.support.voc_samples import PALETTE, devkit
from tests.support.worker import SampleRequest, Worker
from tests.tasks.semantic_segmentation import LABELS

NAMES = [name for name in models.names() if models.find(name).task == "semantic_segmentation"]
EXPLAIN = {"explain": "True"}
PNG = {"accept": "image/png"}
SEVEN = LABELS.index("7")


def white_box(size: tuple[int, int], box: tuple[int, int, int, int]) -> bytes:
    image = Image.new("RGB", size, "black")
    ImageDraw.Draw(image).rectangle(box, fill="white")
    return png(image)


def bright_is_seven(images: torch.Tensor) -> torch.Tensor:
    """Network that classifies every bright pixel as 7: (N, 3, S, S) -> (N, 11, S, S)."""
    brightness = images.mean(dim=1)
    logits = torch.zeros(len(images), len(LABELS), *images.shape[2:])
    logits[:, 0], logits[:, SEVEN] = -brightness, brightness
    return logits


def mask_in(response) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(response.json["mask"])))


@pytest.fixture
def simple(worker, monkeypatch):
    """A worker whose network depends on brightness alone."""
    made = worker("fcn")
    monkeypatch.setattr(made.handler, "optimized_network", bright_is_seven)
    return made


@pytest.mark.parametrize("size", [(300, 100), (40, 64), (1000, 333), (256, 256), (50, 700)])
def test_a_mask_lies_on_the_pixels_of_the_image_as_sent(simple, size):
    box = (size[0] // 5, size[1] // 4, size[0] * 3 // 5, size[1] * 3 // 4)
    (response,) = simple.send(SampleRequest({"body": white_box(size, box)}))
    mask = mask_in(response)
    assert (mask.mode, mask.size) == ("P", size)
    rows, columns = np.nonzero(np.array(mask) == SEVEN)
    edges = [columns.min(), rows.min(), columns.max(), rows.max()]
    pixel = max(1.0, max(size) / 256)  # of the square, in those of the image
    assert edges == pytest.approx(box, abs=pixel)
    assert np.unique(np.array(mask)).tolist() == [0, SEVEN]
    share = float((np.array(mask) == SEVEN).mean())
    assert response.json["classes"] == pytest.approx({"background": 1 - share, "7": share}, abs=1e-6)
    assert response.json["labels"] == LABELS


def test_the_palette_is_that_of_voc(simple):
    (response,) = simple.send(SampleRequest({"body": picture()}))
    levels = mask_in(response).getpalette()
    assert levels[:9] + levels[-3:] == PALETTE[:9] + PALETTE[-3:]
    assert codec.colours(3) == [(0, 0, 0), (128, 0, 0), (0, 128, 0)]


def test_an_upright_photograph_has_an_upright_mask(simple):
    """EXIF orientation is applied: the mask has the pixels of the image as displayed."""
    image = Image.open(io.BytesIO(white_box((60, 30), (0, 0, 19, 29))))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, quality=95)
    (response,) = simple.send(SampleRequest({"body": buffer.getvalue()}))
    mask = np.array(mask_in(response))
    assert mask.shape == (60, 30)
    assert mask[:18].min() == SEVEN
    assert mask[22:].max() == 0


def test_a_mask_is_sharp_up_to_a_size_and_close_to_that_beyond(monkeypatch):
    scores = torch.randn(5, 12, 16, generator=torch.Generator().manual_seed(0))
    whole = interpolate(scores.unsqueeze(0), size=(750, 1000), mode="bilinear", align_corners=False)[0].argmax(dim=0)
    assert torch.equal(codec.classes_at(scores, (750, 1000)), whole)
    monkeypatch.setattr(codec, "MAX_COMPARED_SIDE", 250)
    coarser = codec.classes_at(scores, (750, 1000))
    assert (coarser == whole).float().mean() > 0.98
    assert torch.equal(coarser[1::3, :1][:, 0], coarser[::3, 0])


@pytest.mark.parametrize("size", [(5000, 8000), (1, 40_000_000)])
def test_the_mask_of_the_largest_image_fits_into_a_response(size):
    """The scores are noise: no mask is harder to compress."""
    height = max(1, round(256 * size[0] / max(size)))
    mask = codec.classes_at(torch.randn(len(LABELS), height, 256), size)
    assert tuple(mask.shape) == size
    assert len(mask.unique()) == len(LABELS)
    assert 4 * len(codec.mask_png(mask)) / 3 < MAX_BYTES - 2000


def test_an_enormous_image_gets_a_response(simple):
    image = Image.new("RGB", (8000, 5000), "black")
    image.paste("white", (2000, 1000, 6000, 4000))
    (response,) = simple.send(SampleRequest({"body": png(image)}))
    assert mask_in(response).size == (8000, 5000)
    assert response.json["classes"] == {"background": pytest.approx(0.7, abs=0.01), "7": pytest.approx(0.3, abs=0.01)}


@pytest.mark.parametrize("name", NAMES)
def test_a_png_on_request_has_a_readable_size(worker, name):
    for size, shown in (((48, 32), (256, 171)), ((600, 400), (600, 400)), ((3000, 1500), (1024, 512))):
        (got,) = worker(name).send(SampleRequest({"body": picture(size=size)}, PNG))
        assert got.content_type == "image/png"
        assert Image.open(io.BytesIO(got.body)).size == shown


def test_classes_are_drawn_over_the_image_and_the_background_is_not(simple):
    (got,) = simple.send(SampleRequest({"body": white_box((300, 200), (100, 50, 199, 149))}, PNG))
    pixels = np.asarray(Image.open(io.BytesIO(got.body)).convert("RGB")).astype(int)
    assert pixels[100, 150].tolist() == pytest.approx(
        [0.4 * 255 + 0.6 * level for level in codec.colours(9)[SEVEN]], abs=3
    )
    assert pixels[20, 20].max() < 5


@pytest.mark.parametrize("name", NAMES)
def test_the_requested_class_is_explained(worker, name):
    request = SampleRequest({"body": picture(size=(90, 60))})
    (response,) = worker(name).send(request)
    found = response.json["classes"]
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert sum(found.values()) == pytest.approx(1, abs=1e-4)
    for target, label in ((None, next(label for label in found if label != "background")), *((x, x) for x in found)):
        fields = {**request.fields, **({} if target is None else {"target": target.encode()})}
        (response,) = worker(name).send(SampleRequest(fields, EXPLAIN))
        assert (response.json["target"]["label"], response.json["target"]["share"]) == (label, found[label])
        assert 0 < response.json["target"]["probability"] <= 1
    heatmap = Image.open(io.BytesIO(base64.b64decode(response.json["heatmap"])))
    assert heatmap.size == (256, 171)  # the image, without what is beside it in its square
    (bare,) = worker(name).send(SampleRequest(fields, {**EXPLAIN, **PNG}))
    assert (bare.content_type, bare.body) == ("image/png", base64.b64decode(response.json["heatmap"]))


def test_a_class_that_is_not_in_the_mask_is_not_explained(simple):
    body = white_box((60, 40), (10, 10, 30, 30))
    for target in ("3", "a class that never was", "", "9" * 5000):
        (response,) = simple.send(SampleRequest({"body": body, "target": target.encode()}, EXPLAIN))
        assert (response.status, response.json["field"]) == (400, "target")
        assert "there are: background, 7" in response.json["message"]
        assert len(response.json["message"]) < 200


def test_the_background_is_explained_if_there_is_nothing_else(simple):
    (response,) = simple.send(SampleRequest({"body": png(Image.new("RGB", (60, 40), "black"))}, EXPLAIN))
    assert (response.status, response.json["target"]["label"], response.json["target"]["share"]) == (
        200,
        "background",
        1.0,
    )


def test_the_heatmap_marks_the_pixels_that_determine_a_class(simple, monkeypatch):
    monkeypatch.setattr(simple.handler, "network", bright_is_seven)
    (got,) = simple.send(SampleRequest({"body": white_box((200, 100), (50, 20, 99, 69))}, {**EXPLAIN, **PNG}))
    pixels = np.asarray(Image.open(io.BytesIO(got.body)).convert("RGB")).astype(int)
    rows, columns = np.nonzero(pixels[..., 0] - pixels[..., 2] > 100)  # red is positive
    scale = pixels.shape[1] / 200
    edges = [edge / scale for edge in (columns.min(), rows.min(), columns.max(), rows.max())]
    assert edges == pytest.approx([50, 20, 99, 69], abs=3)


def test_a_strip_and_a_single_pixel_are_explained(worker):
    for size in ((3000, 2), (1, 1)):
        (response,) = worker("fcn").send(SampleRequest({"body": picture(size=size)}, EXPLAIN))
        assert response.status == 200


@pytest.mark.parametrize("name", NAMES)
def test_a_voc_folder_goes_the_same_way_as_the_stand_in(tmp_path, monkeypatch, name):
    """Train one epoch on other classes and image sizes, with the same model file, handler and archive code."""
    devkit(tmp_path, masks=True)
    monkeypatch.chdir(tmp_path)
    folder = run.train(name, data="./VOCdevkit", preset="quick").resolve()
    card = json.loads((folder / "card.json").read_text())
    assert (card["data"]["kind"], card["data"]["sizes"]["test"]) == ("real", 3)
    assert {"miou", "miou_16s", "miou_32s", "gain_over_32s", "pixel_accuracy"} <= set(card["metrics"])
    assert list(card["classes"]) == json.loads((folder / "labels.json").read_text()) == ["background", "cat", "dog"]
    assert (folder / "plots" / "masks.png").is_file()
    requests = list(evaluation.requests_of(name, "./VOCdevkit"))
    responses = [Worker(folder).send(SampleRequest({"body": one.body}))[0].json for one in requests]
    for metric, value in evaluation.score(name, [one.truth for one in requests], responses).items():
        assert value == pytest.approx(card["metrics"][metric], abs=1e-9)
    archive = build(name, "1.0", tmp_path / "artifacts", tmp_path / "store", tmp_path / "keys", "quick")
    with zipfile.ZipFile(archive) as mar:
        assert {"models/parts/segmentation.py", "handlers/codecs/segmentation_mask.py"} <= set(mar.namelist())
