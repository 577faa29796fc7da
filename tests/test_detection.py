"""What a detector's request asks for, which objects are named, which one is explained, and what covering it costs."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from handlers.codecs.letterbox import LetterboxCodec
from handlers.detection import Item, alone, boxed, chosen, objects
from handlers.errors import BadRequest
from handlers.heatmap import heatmap
from handlers.object_detection import ObjectDetection
from handlers.replies import Answer
from tests.bare import PNG, bare, pixels_of, row, same_picture
from tests.samples import picture, png

LABELS = ["猫", "狗"]
FOUND = {
    "boxes": torch.tensor([[0.0, 16, 32, 48], [8, 20, 16, 40], [4, 18, 8.123, 20]]),
    "labels": torch.tensor([1, 0, 1]),
    "scores": torch.tensor([0.9, 0.5, 0.49]),
}
IMAGE = LetterboxCodec(64, (0.5,) * 3, (0.25,) * 3).letterbox(picture(size=(128, 64)))  # twice as large, in the middle


def item(**options) -> Item:
    return Item.of(row(image="x", **options), b"file", IMAGE)


def test_what_is_meant_where_nothing_is_said():
    made = item()
    assert (made.file, made.image) == (b"file", IMAGE)
    assert (made.threshold, made.top, made.place, made.as_png) == (0.5, 100, 0, False)
    assert Item.of(row({"body": b"x"}, PNG), b"", IMAGE).as_png is True


def test_options_are_read():
    made = item(threshold=0, top=1, object=0)
    assert (made.threshold, made.top, made.place) == (0, 1, 0)
    assert (item(threshold=1, object=3).threshold, item(object=3).place) == (1, 3)
    for option, value in (("threshold", 1.1), ("threshold", -0.1), ("top", 0), ("object", -1)):
        with pytest.raises(BadRequest) as caught:
            item(**{option: value})
        assert caught.value.field == option


def test_objects_are_those_over_the_threshold_in_pixels_of_the_image():
    one = {"label": "狗", "score": 0.9, "box": [0.0, 0.0, 64.0, 64.0]}
    two = {"label": "猫", "score": 0.5, "box": [16.0, 8.0, 32.0, 48.0]}
    assert objects(FOUND, item(), LABELS) == [
        {**one, "score": pytest.approx(0.9, abs=1e-6)},
        two,
    ]
    assert len(objects(FOUND, item(top=1), LABELS)) == 1
    assert objects(FOUND, item(threshold=0.4), LABELS)[2]["box"] == [8.0, 4.0, 16.25, 8.0]
    assert objects(FOUND, item(threshold=0.95), LABELS) == []
    assert all(one["score"] == round(one["score"], 6) for one in objects(FOUND, item(), LABELS))


def test_the_object_that_an_explanation_is_about():
    found = objects(FOUND, item(threshold=0), LABELS)
    assert chosen(found, item(), None, LABELS) == found[0]
    assert chosen(found, item(object=2), None, LABELS) == found[2]
    assert chosen(found, item(object=1), "狗", LABELS) == found[2]
    assert chosen(found, item(), "猫", LABELS) == found[1]


@pytest.mark.parametrize(
    ("options", "target", "field", "why"),
    [
        ({}, "马", "target", "no class '马'; there are: 猫, 狗"),
        ({"object": 3}, None, "object", "no object with the number 3: found were 0 to 2"),
        ({"object": 2}, "狗", "object", "no object '狗' with the number 2: found were 0 to 1"),
    ],
)
def test_an_object_that_is_not_there_is_refused(options, target, field, why):
    with pytest.raises(BadRequest) as caught:
        chosen(objects(FOUND, item(threshold=0), LABELS), item(**options), target, LABELS)
    assert (caught.value.field, caught.value.why) == (field, why)


def test_where_nothing_was_found_there_is_nothing_to_explain():
    for target, kind in ((None, "object"), ("猫", "object '猫'")):
        with pytest.raises(BadRequest) as caught:
            chosen([], item(threshold=0.75), target, LABELS)
        why = f"no {kind} with a score of at least 0.75 was found: nothing to explain"
        assert (caught.value.field, caught.value.why) == ("image", why)


def test_one_object_alone():
    assert {name: part.tolist() for name, part in alone(FOUND, 1).items()} == {
        "boxes": [[8.0, 20.0, 16.0, 40.0]],
        "labels": [0],
        "scores": [0.5],
    }


def test_boxes_are_red_two_pixels_wide_and_scaled_with_the_image():
    image = torch.full((3, 100, 100), 7, dtype=torch.uint8)
    assert boxed(image, [], 2) is image
    drawn = boxed(image, [{"label": "a", "score": 0.987, "box": [10, 20, 30, 45]}], 2).permute(1, 2, 0)
    assert drawn[80, 20].tolist() == drawn[90, 40].tolist() == drawn[80, 59].tolist() == [255, 0, 0]
    assert drawn[80, 40].tolist() == drawn[95, 70].tolist() == [7, 7, 7]
    other = boxed(image, [{"label": "b", "score": 0.987, "box": [10, 20, 30, 45]}], 2).permute(1, 2, 0)
    less = boxed(image, [{"label": "a", "score": 0.114, "box": [10, 20, 30, 45]}], 2).permute(1, 2, 0)
    alike = boxed(image, [{"label": "a", "score": 0.9912, "box": [10, 20, 30, 45]}], 2).permute(1, 2, 0)
    assert not torch.equal(drawn, other)
    assert not torch.equal(drawn, less)
    assert torch.equal(drawn, alike)  # both are 0.99
    assert (drawn.amin(dim=2) > 100).any()  # the letters are white


class Corner(nn.Module):
    """Sees how bright the first quarter of the square is, and calls it a dog; and always a cat elsewhere."""

    size = 64

    def forward(self, images):
        return images[:, :, 16:32, 0:32].mean(dim=(1, 2, 3), keepdim=False).sigmoid().unsqueeze(1)

    def detections(self, raw):
        boxes = torch.tensor([[0.0, 16, 32, 32], [40, 20, 60, 44]])
        return [
            {"boxes": boxes, "labels": torch.tensor([1, 0]), "scores": torch.cat([row, torch.tensor([0.3])])}
            for row in raw
        ]


@pytest.fixture
def handler(tmp_path):
    return bare(ObjectDetection, tmp_path, LetterboxCodec(64, (0.5,) * 3, (0.25,) * 3), Corner(), LABELS)


def bright() -> bytes:
    return png(Image.new("RGB", (128, 64), "white"))


def test_a_request_goes_through_the_detector(handler):
    made = handler.decode(row({"image": bright(), "threshold": b"0.25"}))
    assert (made.file, made.image.window, made.threshold) == (bright(), (0, 16, 64, 48), 0.25)
    batch = handler.collate([made, made])
    assert batch.shape == (2, 3, 64, 64)
    reply = handler.encode(handler.network(batch)[0], made)
    assert [one["label"] for one in reply["objects"]] == ["狗", "猫"]
    assert reply["objects"][1]["box"] == [80.0, 8.0, 120.0, 56.0]
    shown = handler.encode(handler.network(batch)[0], handler.decode(row({"image": bright(), "threshold": b"0"}, PNG)))
    assert isinstance(shown, Answer)
    assert shown.content_type == "image/png"
    pixels = pixels_of(shown.body)
    assert pixels.shape == (128, 256, 3)
    assert pixels[60, 161].tolist() == [255, 0, 0]


def test_what_speaks_for_an_object_is_where_covering_it_costs(handler):
    made = handler.decode(row({"image": bright(), "threshold": b"0"}))
    reply = handler.explain(made, None)
    assert reply["target"]["label"] == "狗"
    network, sizes = handler.network, []
    handler.run = lambda images: sizes.append(len(images)) or network(images)
    batch = handler.collate([made])
    (found,) = network.detections(network(batch))
    weights = handler._occluded(batch, alone(found, 0))
    assert weights.shape == (64, 64)
    assert weights[42:, :].abs().max() == weights[:, 42:].abs().max() == 0
    assert weights[18:30, 2:30].min() > 0
    assert max(sizes) == 3
    assert sum(sizes) == 1 + 9 * 9  # windows of 14 pixels, 7 apart
    same_picture(reply["heatmap"], heatmap(made.image.content(made.image.pixels), made.image.content(weights)))
    shown = handler.explain(handler.decode(row({"image": bright(), "threshold": b"0"}, PNG)), None)
    assert (shown.content_type, np.array_equal(pixels_of(shown.body), pixels_of(reply["heatmap"]))) == (
        "image/png",
        True,
    )
    assert handler._occluded(batch, alone(found, 1)).abs().max() == 0  # the cat is there whatever is covered
    assert handler.explain(made, "猫")["target"]["score"] == pytest.approx(0.3, abs=1e-6)
