"""Text detection: training targets of a page, decoding of the network's output to lines, and the metric of lines."""

import io

import pytest
import torch
from PIL import Image

import models
from handlers.codecs.text_page import TextPageCodec, pad_pages
from handlers.documents.text_proposals import HEIGHTS, chains, connect_lines, decode_proposals
from marina.training.losses import line_losses
from marina.training.metrics import line_metrics
from models.ctpn import NEVER
from tests.support.samples import picture
from tests.support.worker import SampleRequest

BOXES = [[20.0, 30.0, 200.0, 52.0], [100.0, 90.0, 240.0, 130.0], [16.0, 150.0, 90.0, 162.0]]


def perfect_output(boxes, rows=16, columns=16) -> torch.Tensor:
    """Return the output of a network that predicts the targets of these lines perfectly."""
    output = line_losses.anchor_targets(torch.tensor(boxes).reshape(-1, 4), rows, columns)
    output[..., 0] = torch.where(output[..., 0] == 1, 9.0, -9.0)
    output[..., 3] = output[..., 3].nan_to_num()
    return output


def test_decoding_the_targets_returns_the_lines():
    found = connect_lines(perfect_output(BOXES))
    assert [line.box for line in found] == [pytest.approx(box, abs=0.1) for box in BOXES]
    assert all(line.score > 0.99 for line in found)
    assert connect_lines(perfect_output([])) == []


def test_every_anchor_is_16_wide_and_positive_anchors_decode_to_the_line():
    targets = line_losses.anchor_targets(torch.tensor([[32.0, 40.0, 64.0, 73.0]]), rows=8, columns=8)
    text = (targets[..., 0] == 1).nonzero()
    assert set(text[:, 1].tolist()) == {2, 3}
    assert HEIGHTS[3] == 33
    assert [3, 2, 3] in text.tolist()
    boxes = decode_proposals(targets)[targets[..., 0] == 1]
    torch.testing.assert_close(boxes[:, [1, 3]], torch.tensor([[40.0, 73.0]]).expand(len(boxes), -1))
    assert (boxes[:, 2] - boxes[:, 0] == 16).all()


def test_neighbours_join_when_each_is_the_others_nearest():
    boxes = torch.tensor([[x, 10.0, x + 16.0, 30.0] for x in (0.0, 16.0, 64.0, 128.0)])  # 48 apart, then 64
    assert chains(boxes) == [[0, 1, 2], [3]]
    taller = torch.tensor([[0.0, 10.0, 16.0, 30.0], [16.0, 10.0, 32.0, 40.0]])  # two thirds as high
    assert chains(taller) == [[0], [1]]
    higher = torch.tensor([[0.0, 10.0, 16.0, 30.0], [16.0, 18.0, 32.0, 38.0]])  # 12 of 20 pixels in common
    assert chains(higher) == [[0], [1]]
    fork = torch.tensor([[0.0, 10.0, 16.0, 30.0], [16.0, 10.0, 32.0, 30.0], [16.0, 13.0, 32.0, 33.0]])
    assert chains(fork) == [[0, 1], [2]]
    assert chains(torch.zeros(0, 4)) == []


def test_a_larger_neighbour_changes_nothing():
    torch.manual_seed(0)
    network = models.find("ctpn").network().eval()
    small, large = (torch.randint(1, 256, (1, *size), dtype=torch.uint8) for size in ((32, 64), (80, 112)))
    codec = TextPageCodec(1024)
    with torch.inference_mode():
        alone = network(codec.normalize(small).unsqueeze(0))[0]
        both = network(codec.normalize(pad_pages([small, large])))[0]
    assert (alone.shape, both.shape) == ((2, 4, 10, 4), (5, 7, 10, 4))
    torch.testing.assert_close(both[:2, :4], alone, atol=1e-5, rtol=1e-5)
    assert (both[2:, :, :, 0] == NEVER).all()
    assert (both[:, 4:, :, 0] == NEVER).all()


def test_pages_keep_their_size_up_to_the_limit():
    codec = TextPageCodec(256)
    page = codec.page(picture(size=(100, 50)))
    assert (tuple(page.pixels.shape), page.cells) == ((1, 48, 96), (3, 6))
    assert page.scale == (100 / 96, 50 / 48)
    assert codec.page(picture(size=(1000, 500))).pixels.shape == (1, 128, 256)
    assert codec.page(picture(size=(3, 5000))).pixels.shape == (1, 256, 16)
    assert page.pixels.min() >= 1


def test_boxes_are_in_pixels_of_the_image_as_sent(worker, monkeypatch):
    handler = worker("ctpn").handler
    monkeypatch.setattr(handler, "optimized_network", lambda batch: perfect_output(BOXES[:2]).unsqueeze(0))
    monkeypatch.setattr(handler, "codec", TextPageCodec(256))
    (response,) = worker("ctpn").send(SampleRequest({"body": picture(size=(512, 512))}))
    found = [line["box"] for line in response.json["lines"]]
    assert found == [pytest.approx([2 * corner for corner in box], abs=0.2) for box in BOXES[:2]]


def test_the_annotated_picture_shows_the_boxes_on_the_page(worker, monkeypatch):
    handler = worker("ctpn").handler
    monkeypatch.setattr(handler, "optimized_network", lambda batch: perfect_output(BOXES[:1]).unsqueeze(0))
    (response,) = worker("ctpn").send(SampleRequest({"body": picture(size=(256, 256))}, {"accept": "image/png"}))
    assert response.content_type == "image/png"
    image = Image.open(io.BytesIO(response.body))
    assert (image.size, image.getpixel((100, 30))) == ((256, 256), (255, 0, 0))


@pytest.mark.parametrize("target", ["-1", "999", "x", "1.0", "²"])
def test_a_line_that_was_not_found_is_refused(worker, target):
    request = SampleRequest({"body": picture(), "target": target}, {"explain": "True"})
    (response,) = worker("ctpn").send(request)
    assert (response.status, response.json["field"]) == (400, "target")


def test_lines_are_counted_one_for_one():
    moved = [[x1 + 2, y1 + 2, x2, y2] for x1, y1, x2, y2 in BOXES]
    assert line_metrics.detection_scores([BOXES], [moved])["f1"] == 1
    twice = line_metrics.detection_scores([BOXES, []], [[moved[0], BOXES[0]], []])
    assert twice == {"f1": pytest.approx(0.4), "precision": 0.5, "recall": pytest.approx(1 / 3)}
    assert line_metrics.detection_scores([BOXES], [[]]) == {"f1": 0.0, "precision": 0.0, "recall": 0.0}
