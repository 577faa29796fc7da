"""Detectors: the options of a request, the objects of a response, the object to explain, and its heatmap."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from handlers.codecs.letterbox import LetterboxCodec
from handlers.errors import BadRequest
from handlers.object_detection import ObjectDetection
from handlers.response import Response
from handlers.vision.detection import DetectionInput, draw_boxes, explained_object, named_objects, single_detection
from handlers.vision.drawing import heatmap
from tests.support.bare import PNG, bare, make_request, pixels_of, same_picture
from tests.support.samples import picture, png

LABELS = ["猫", "狗"]
FOUND = {
    "boxes": torch.tensor([[0.0, 16, 32, 48], [8, 20, 16, 40], [4, 18, 8.123, 20]]),
    "labels": torch.tensor([1, 0, 1]),
    "scores": torch.tensor([0.9, 0.5, 0.49]),
}
IMAGE = LetterboxCodec(64, (0.5,) * 3, (0.25,) * 3).letterbox(picture(size=(128, 64)))  # twice as large, in the middle


def detection_input(**options) -> DetectionInput:
    return DetectionInput.from_request(make_request(image="x", **options), b"file", IMAGE)


def test_options_have_defaults():
    made = detection_input()
    assert (made.file, made.image) == (b"file", IMAGE)
    assert (made.threshold, made.top, made.explained, made.as_png) == (0.5, 100, 0, False)
    assert DetectionInput.from_request(make_request({"body": b"x"}, PNG), b"", IMAGE).as_png is True


def test_options_are_read():
    made = detection_input(threshold=0, top=1, object=0)
    assert (made.threshold, made.top, made.explained) == (0, 1, 0)
    assert (detection_input(threshold=1, object=3).threshold, detection_input(object=3).explained) == (1, 3)
    for option, value in (("threshold", 1.1), ("threshold", -0.1), ("top", 0), ("object", -1)):
        with pytest.raises(BadRequest) as caught:
            detection_input(**{option: value})
        assert caught.value.field == option


def test_objects_are_those_over_the_threshold_in_pixels_of_the_image():
    one = {"label": "狗", "score": 0.9, "box": [0.0, 0.0, 64.0, 64.0]}
    two = {"label": "猫", "score": 0.5, "box": [16.0, 8.0, 32.0, 48.0]}
    assert named_objects(FOUND, detection_input(), LABELS) == [
        {**one, "score": pytest.approx(0.9, abs=1e-6)},
        two,
    ]
    assert len(named_objects(FOUND, detection_input(top=1), LABELS)) == 1
    assert named_objects(FOUND, detection_input(threshold=0.4), LABELS)[2]["box"] == [8.0, 4.0, 16.25, 8.0]
    assert named_objects(FOUND, detection_input(threshold=0.95), LABELS) == []
    assert all(one["score"] == round(one["score"], 6) for one in named_objects(FOUND, detection_input(), LABELS))


def test_the_object_to_explain_is_chosen_by_label_and_number():
    found = named_objects(FOUND, detection_input(threshold=0), LABELS)
    assert explained_object(found, detection_input(), None, LABELS) == found[0]
    assert explained_object(found, detection_input(object=2), None, LABELS) == found[2]
    assert explained_object(found, detection_input(object=1), "狗", LABELS) == found[2]
    assert explained_object(found, detection_input(), "猫", LABELS) == found[1]


@pytest.mark.parametrize(
    ("options", "target", "field", "reason"),
    [
        ({}, "马", "target", "no class '马'; there are: 猫, 狗"),
        ({"object": 3}, None, "object", "no object with the number 3: found were 0 to 2"),
        ({"object": 2}, "狗", "object", "no object '狗' with the number 2: found were 0 to 1"),
    ],
)
def test_an_object_that_is_not_there_is_refused(options, target, field, reason):
    with pytest.raises(BadRequest) as caught:
        explained_object(
            named_objects(FOUND, detection_input(threshold=0), LABELS), detection_input(**options), target, LABELS
        )
    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_nothing_found_means_nothing_to_explain():
    for target, kind in ((None, "object"), ("猫", "object '猫'")):
        with pytest.raises(BadRequest) as caught:
            explained_object([], detection_input(threshold=0.75), target, LABELS)
        reason = f"no {kind} with a score of at least 0.75 was found: nothing to explain"
        assert (caught.value.field, caught.value.reason) == ("image", reason)


def test_a_single_detection_is_selected():
    assert {name: part.tolist() for name, part in single_detection(FOUND, 1).items()} == {
        "boxes": [[8.0, 20.0, 16.0, 40.0]],
        "labels": [0],
        "scores": [0.5],
    }


def test_boxes_are_red_two_pixels_wide_and_scaled_with_the_image():
    image = torch.full((3, 100, 100), 7, dtype=torch.uint8)
    assert draw_boxes(image, [], 2) is image
    drawn = draw_boxes(image, [{"label": "a", "score": 0.987, "box": [10, 20, 30, 45]}], 2).permute(1, 2, 0)
    assert drawn[80, 20].tolist() == drawn[90, 40].tolist() == drawn[80, 59].tolist() == [255, 0, 0]
    assert drawn[80, 40].tolist() == drawn[95, 70].tolist() == [7, 7, 7]
    other = draw_boxes(image, [{"label": "b", "score": 0.987, "box": [10, 20, 30, 45]}], 2).permute(1, 2, 0)
    less = draw_boxes(image, [{"label": "a", "score": 0.114, "box": [10, 20, 30, 45]}], 2).permute(1, 2, 0)
    alike = draw_boxes(image, [{"label": "a", "score": 0.9912, "box": [10, 20, 30, 45]}], 2).permute(1, 2, 0)
    assert not torch.equal(drawn, other)
    assert not torch.equal(drawn, less)
    assert torch.equal(drawn, alike)  # both are 0.99
    assert (drawn.amin(dim=2) > 100).any()  # the letters are white


class Corner(nn.Module):
    """Network that finds a dog, with the brightness of the first quarter as its score, and always a cat elsewhere."""

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
    made = handler.decode(make_request({"image": bright(), "threshold": b"0.25"}))
    assert (made.file, made.image.window, made.threshold) == (bright(), (0, 16, 64, 48), 0.25)
    batch = handler.collate([made, made])
    assert batch.shape == (2, 3, 64, 64)
    response = handler.encode(handler.network(batch)[0], made)
    assert [one["label"] for one in response["objects"]] == ["狗", "猫"]
    assert response["objects"][1]["box"] == [80.0, 8.0, 120.0, 56.0]
    shown = handler.encode(
        handler.network(batch)[0], handler.decode(make_request({"image": bright(), "threshold": b"0"}, PNG))
    )
    assert isinstance(shown, Response)
    assert shown.content_type == "image/png"
    pixels = pixels_of(shown.body)
    assert pixels.shape == (128, 256, 3)
    assert pixels[60, 161].tolist() == [255, 0, 0]


def test_the_heatmap_is_positive_where_covering_lowers_the_score(handler):
    made = handler.decode(make_request({"image": bright(), "threshold": b"0"}))
    response = handler.explain(made, None)
    assert response["target"]["label"] == "狗"
    network, sizes = handler.network, []
    handler.optimized_network = lambda images: sizes.append(len(images)) or network(images)
    batch = handler.collate([made])
    (found,) = network.detections(network(batch))
    weights = handler._occluded(batch, single_detection(found, 0))
    assert weights.shape == (64, 64)
    assert weights[42:, :].abs().max() == weights[:, 42:].abs().max() == 0
    assert weights[18:30, 2:30].min() > 0
    assert max(sizes) == 3
    assert sum(sizes) == 1 + 9 * 9  # windows of 14 pixels, 7 apart
    same_picture(response["heatmap"], heatmap(made.image.content(made.image.pixels), made.image.content(weights)))
    shown = handler.explain(handler.decode(make_request({"image": bright(), "threshold": b"0"}, PNG)), None)
    assert (shown.content_type, np.array_equal(pixels_of(shown.body), pixels_of(response["heatmap"]))) == (
        "image/png",
        True,
    )
    assert handler._occluded(batch, single_detection(found, 1)).abs().max() == 0  # the cat is there whatever is covered
    assert handler.explain(made, "猫")["target"]["score"] == pytest.approx(0.3, abs=1e-6)
