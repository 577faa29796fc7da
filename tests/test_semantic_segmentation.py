"""Masks: back to the image's own pixels, what is asked about them, how they are counted, and a VOC folder through."""

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
from archive.build import build
from handlers.codecs import mask as codec
from handlers.replies import MAX_BYTES
from tests.samples import picture, png
from tests.tasks.semantic_segmentation import LABELS
from tests.voc import PALETTE, devkit
from tests.worker import Ask, Worker
from training import fit, requests

NAMES = [name for name in models.names() if models.find(name).task == "semantic_segmentation"]
EXPLAIN = {"explain": "True"}
PNG = {"accept": "image/png"}
SEVEN = LABELS.index("7")


def white_box(size: tuple[int, int], box: tuple[int, int, int, int]) -> bytes:
    image = Image.new("RGB", size, "black")
    ImageDraw.Draw(image).rectangle(box, fill="white")
    return png(image)


def bright_is_seven(images: torch.Tensor) -> torch.Tensor:
    """A network that calls every bright pixel 7: (N, 3, S, S) -> (N, 11, S, S)."""
    brightness = images.mean(dim=1)
    logits = torch.zeros(len(images), len(LABELS), *images.shape[2:])
    logits[:, 0], logits[:, SEVEN] = -brightness, brightness
    return logits


def mask_in(reply) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(reply.json["mask"])))


@pytest.fixture
def simple(worker, monkeypatch):
    """A worker whose network sees brightness and nothing else."""
    made = worker("fcn")
    monkeypatch.setattr(made.handler, "run", bright_is_seven)
    return made


@pytest.mark.parametrize("size", [(300, 100), (40, 64), (1000, 333), (256, 256), (50, 700)])
def test_a_mask_lies_on_the_pixels_of_the_image_as_sent(simple, size):
    box = (size[0] // 5, size[1] // 4, size[0] * 3 // 5, size[1] * 3 // 4)
    (reply,) = simple.ask(Ask({"body": white_box(size, box)}))
    mask = mask_in(reply)
    assert (mask.mode, mask.size) == ("P", size)
    rows, columns = np.nonzero(np.array(mask) == SEVEN)
    seen = [columns.min(), rows.min(), columns.max(), rows.max()]
    pixel = max(1.0, max(size) / 256)  # of the square, in those of the image
    assert seen == pytest.approx(box, abs=pixel)
    assert np.unique(np.array(mask)).tolist() == [0, SEVEN]
    share = float((np.array(mask) == SEVEN).mean())
    assert reply.json["classes"] == pytest.approx({"background": 1 - share, "7": share}, abs=1e-6)
    assert reply.json["labels"] == LABELS


def test_the_palette_is_that_of_voc(simple):
    (reply,) = simple.ask(Ask({"body": picture()}))
    levels = mask_in(reply).getpalette()
    assert levels[:9] + levels[-3:] == PALETTE[:9] + PALETTE[-3:]
    assert codec.colours(3) == [(0, 0, 0), (128, 0, 0), (0, 128, 0)]


def test_an_upright_photograph_has_an_upright_mask(simple):
    """A camera's tag says how to turn the pixels; the mask has those of the image as it is looked at."""
    image = Image.open(io.BytesIO(white_box((60, 30), (0, 0, 19, 29))))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, quality=95)
    (reply,) = simple.ask(Ask({"body": buffer.getvalue()}))
    mask = np.array(mask_in(reply))
    assert mask.shape == (60, 30)
    assert mask[:18].min() == SEVEN
    assert mask[22:].max() == 0


def test_a_mask_is_sharp_up_to_a_size_and_close_to_that_beyond(monkeypatch):
    scores = torch.randn(5, 12, 16, generator=torch.Generator().manual_seed(0))
    whole = interpolate(scores.unsqueeze(0), size=(750, 1000), mode="bilinear", align_corners=False)[0].argmax(dim=0)
    assert torch.equal(codec.classes_at(scores, (750, 1000)), whole)
    monkeypatch.setattr(codec, "FINEST", 250)
    coarser = codec.classes_at(scores, (750, 1000))
    assert (coarser == whole).float().mean() > 0.98
    assert torch.equal(coarser[1::3, :1][:, 0], coarser[::3, 0])


@pytest.mark.parametrize("size", [(5000, 8000), (1, 40_000_000)])
def test_the_mask_of_the_largest_image_fits_into_a_reply(size):
    """Scores of noise: no network draws a mask that is harder to compress."""
    height = max(1, round(256 * size[0] / max(size)))
    mask = codec.classes_at(torch.randn(len(LABELS), height, 256), size)
    assert tuple(mask.shape) == size
    assert len(mask.unique()) == len(LABELS)
    assert 4 * len(codec.mask_png(mask)) / 3 < MAX_BYTES - 2000


def test_an_enormous_image_is_answered(simple):
    image = Image.new("RGB", (8000, 5000), "black")
    image.paste("white", (2000, 1000, 6000, 4000))
    (reply,) = simple.ask(Ask({"body": png(image)}))
    assert mask_in(reply).size == (8000, 5000)
    assert reply.json["classes"] == {"background": pytest.approx(0.7, abs=0.01), "7": pytest.approx(0.3, abs=0.01)}


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_comes_for_the_asking_and_is_of_a_size_to_look_at(worker, name):
    for size, shown in (((48, 32), (256, 171)), ((600, 400), (600, 400)), ((3000, 1500), (1024, 512))):
        (got,) = worker(name).ask(Ask({"body": picture(size=size)}, PNG))
        assert got.content_type == "image/png"
        assert Image.open(io.BytesIO(got.body)).size == shown


def test_classes_are_drawn_over_the_image_and_the_background_is_not(simple):
    (got,) = simple.ask(Ask({"body": white_box((300, 200), (100, 50, 199, 149))}, PNG))
    pixels = np.asarray(Image.open(io.BytesIO(got.body)).convert("RGB")).astype(int)
    assert pixels[100, 150].tolist() == pytest.approx(
        [0.4 * 255 + 0.6 * level for level in codec.colours(9)[SEVEN]], abs=3
    )
    assert pixels[20, 20].max() < 5


@pytest.mark.parametrize("name", NAMES)
def test_explanations_are_about_the_class_that_was_asked_for(worker, name):
    ask = Ask({"body": picture(size=(90, 60))})
    (reply,) = worker(name).ask(ask)
    found = reply.json["classes"]
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert sum(found.values()) == pytest.approx(1, abs=1e-4)
    for target, label in ((None, next(label for label in found if label != "background")), *((x, x) for x in found)):
        fields = {**ask.fields, **({} if target is None else {"target": target.encode()})}
        (why,) = worker(name).ask(Ask(fields, EXPLAIN))
        assert (why.json["target"]["label"], why.json["target"]["share"]) == (label, found[label])
        assert 0 < why.json["target"]["probability"] <= 1
    heatmap = Image.open(io.BytesIO(base64.b64decode(why.json["heatmap"])))
    assert heatmap.size == (256, 171)  # the image, without what is beside it in its square
    (bare,) = worker(name).ask(Ask(fields, {**EXPLAIN, **PNG}))
    assert (bare.content_type, bare.body) == ("image/png", base64.b64decode(why.json["heatmap"]))


def test_there_is_no_explanation_of_a_class_that_is_not_in_the_mask(simple):
    body = white_box((60, 40), (10, 10, 30, 30))
    for target in ("3", "a class that never was", "", "9" * 5000):
        (why,) = simple.ask(Ask({"body": body, "target": target.encode()}, EXPLAIN))
        assert (why.status, why.json["field"]) == (400, "target")
        assert "there are: background, 7" in why.json["message"]
        assert len(why.json["message"]) < 200


def test_where_there_is_nothing_but_background_it_is_what_is_explained(simple):
    (why,) = simple.ask(Ask({"body": png(Image.new("RGB", (60, 40), "black"))}, EXPLAIN))
    assert (why.status, why.json["target"]["label"], why.json["target"]["share"]) == (200, "background", 1.0)


def test_the_heat_lies_on_what_a_class_rests_on(simple, monkeypatch):
    monkeypatch.setattr(simple.handler, "network", bright_is_seven)
    (got,) = simple.ask(Ask({"body": white_box((200, 100), (50, 20, 99, 69))}, {**EXPLAIN, **PNG}))
    pixels = np.asarray(Image.open(io.BytesIO(got.body)).convert("RGB")).astype(int)
    rows, columns = np.nonzero(pixels[..., 0] - pixels[..., 2] > 100)  # red speaks for it
    scale = pixels.shape[1] / 200
    seen = [edge / scale for edge in (columns.min(), rows.min(), columns.max(), rows.max())]
    assert seen == pytest.approx([50, 20, 99, 69], abs=3)


def test_a_strip_and_a_single_pixel_are_explained(worker):
    for size in ((3000, 2), (1, 1)):
        (why,) = worker("fcn").ask(Ask({"body": picture(size=size)}, EXPLAIN))
        assert why.status == 200


@pytest.mark.parametrize("name", NAMES)
def test_a_voc_folder_goes_the_same_way_as_the_stand_in(tmp_path, monkeypatch, name):
    """Other classes, images of other sizes: the same model file, handler and archive code, one epoch."""
    devkit(tmp_path, masks=True)
    monkeypatch.chdir(tmp_path)
    folder = fit.train(name, data="./VOCdevkit", preset="quick").resolve()
    card = json.loads((folder / "card.json").read_text())
    assert (card["data"]["kind"], card["data"]["sizes"]["test"]) == ("real", 3)
    assert {"miou", "miou_16s", "miou_32s", "gain_over_32s", "pixel_accuracy"} <= set(card["metrics"])
    assert list(card["classes"]) == json.loads((folder / "labels.json").read_text()) == ["background", "cat", "dog"]
    assert (folder / "plots" / "masks.png").is_file()
    asked = list(requests.of(name, "./VOCdevkit"))
    replies = [Worker(folder).ask(Ask({"body": one.body}))[0].json for one in asked]
    for metric, value in requests.score(name, [one.truth for one in asked], replies).items():
        assert value == pytest.approx(card["metrics"][metric], abs=1e-9)
    archive = build(name, "1.0", tmp_path / "artifacts", tmp_path / "store", tmp_path / "keys", "quick")
    with zipfile.ZipFile(archive) as mar:
        assert {"models/parts/segmentation.py", "handlers/codecs/mask.py"} <= set(mar.namelist())
