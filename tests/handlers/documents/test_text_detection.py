"""Text detection: training targets of a page, decoding of the network's output to lines, and the metric of lines."""

import io

import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.nn.functional import avg_pool2d

import models
from handlers.codecs.text_page import CELL, TextPageCodec, pad_pages
from handlers.documents.text_proposals import HEIGHTS, best_proposal, connect_lines, decode_proposals
from handlers.errors import BadRequest
from handlers.text_detection import TextDetection
from handlers.vision.drawing import heatmap
from marina.training.losses import line_losses
from marina.training.metrics import line_metrics
from models.ctpn import NEVER
from tests.support.bare import PNG, bare, make_request, pixels_of, same_picture
from tests.support.samples import picture, png
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
    monkeypatch.setattr(handler, "page_codec", TextPageCodec(256))
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


class Darkness(nn.Module):
    """The proposals of BOXES: the darker a cell, the higher the scores of its proposals."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = logit

    def forward(self, pages):
        dark = avg_pool2d(1 - pages, CELL)[:, 0]  # (N, rows, columns)
        output = perfect_output(BOXES, *dark.shape[1:])
        logits = torch.where(output[..., 0] > 0, self.logit, -9.0) + dark[..., None]  # (N, rows, columns, 10)
        return torch.cat([logits.unsqueeze(4), output[..., 1:].expand(len(pages), -1, -1, -1, -1)], dim=4)


def dark_second_line() -> bytes:
    page = Image.new("L", (256, 256), 255)
    ImageDraw.Draw(page).rectangle(BOXES[1], fill=64)
    return png(page)


@pytest.fixture
def detector(tmp_path):
    return bare(TextDetection, tmp_path, TextPageCodec(256), Darkness(1.0))


@pytest.mark.parametrize(("target", "place"), [(None, 1), ("0", 0), ("1", 1), ("2", 2)])
def test_a_line_is_explained_by_its_own_cells(detector, target, place):
    made = detector.decode(make_request({"image": dark_second_line()}))
    response = detector.explain(made, target)
    output = detector.network(detector.collate([made]))[0]
    line = connect_lines(output)[place]
    assert response["target"] == {
        "box": pytest.approx(BOXES[place], abs=0.2),
        "score": pytest.approx(line.score, abs=1e-6),
    }
    assert response["target"]["score"] == round(response["target"]["score"], 6)
    assert abs(response["convergence_delta"]) < 1e-4
    # Each pixel of a cell adds its darkness / CELL**2 to the logits of the cell's proposals.
    cells = torch.zeros(output.shape[:3]).flatten()
    cells[line.proposals] = 1 / len(line.proposals)
    share = cells.reshape(output.shape[:3]).sum(dim=2).repeat_interleave(CELL, 0).repeat_interleave(CELL, 1)
    dark = 1 - made.value[0].pixels[0] / 255
    same_picture(response["heatmap"], heatmap(made.value[0].pixels, dark * share / CELL**2))
    bare_picture = detector.explain(detector.decode(make_request({"image": dark_second_line()}, PNG)), target)
    assert bare_picture.content_type == "image/png"
    same_picture(bare_picture.body, response["heatmap"])


class SmallPrint(Darkness):
    """Finds a line of small print on the page, and the same line on the enlarged page."""

    def forward(self, pages):
        self.sizes.append(tuple(pages.shape))
        dark = avg_pool2d(1 - pages, CELL)[:, 0]
        zoom = pages.shape[3] / 256
        output = perfect_output([[edge * zoom for edge in BOXES[2]]], *dark.shape[1:])
        logits = torch.where(output[..., 0] > 0, self.logit, -9.0) + dark[..., None]
        return torch.cat([logits.unsqueeze(4), output[..., 1:].expand(len(pages), -1, -1, -1, -1)], dim=4)


def test_small_print_is_explained_on_the_page_itself(tmp_path):
    network = SmallPrint(1.0)
    network.sizes = []
    detector = bare(TextDetection, tmp_path, TextPageCodec(256), network)
    made = detector.decode(make_request({"image": dark_second_line()}))
    response = detector.explain(made, "0")
    assert response["target"]["box"] == pytest.approx(BOXES[2], abs=0.5)
    assert abs(response["convergence_delta"]) < 1e-4
    assert {size for size in network.sizes if size[0] > 1} == set()  # one at a time: each takes four times as much
    same_size = heatmap(made.value[0].pixels, torch.zeros(256, 256))
    assert pixels_of(response["heatmap"]).shape == pixels_of(same_size).shape
    (lines,) = detector.forward(detector.collate([made]))
    assert detector.encode(lines, made)["lines"][0]["box"] == pytest.approx(BOXES[2], abs=0.5)


def test_without_a_line_the_best_proposal_is_explained(tmp_path):
    detector = bare(TextDetection, tmp_path, TextPageCodec(256), Darkness(-3.0))
    made = detector.decode(make_request({"image": dark_second_line()}))
    output = detector.network(detector.collate([made]))[0]
    assert connect_lines(output) == []
    best = best_proposal(output)
    assert best.score < 0.5
    assert detector.explain(made, None)["target"] == {
        "box": made.value[0].to_image(best.box),
        "score": pytest.approx(best.score, abs=1e-6),
    }


def test_the_first_line_that_was_not_found_is_refused_with_their_number(detector):
    made = detector.decode(make_request({"image": dark_second_line()}))
    with pytest.raises(BadRequest, match="not the number of a line: 3 were found, 0 is the topmost") as caught:
        detector.explain(made, "3")
    assert caught.value.field == "target"


def test_a_page_without_lines_is_shown_as_it_is(detector):
    made = detector.decode(make_request({"image": dark_second_line()}, PNG))
    shown = detector.encode([], made)
    assert pixels_of(shown.body)[..., 0].tolist() == made.value[0].pixels[0].tolist()


def test_boxes_are_drawn_two_pixels_wide(detector):
    made = detector.decode(make_request({"image": picture(size=(256, 256))}, PNG))
    pixels = pixels_of(detector.encode(connect_lines(perfect_output(BOXES[:1])), made).body)
    assert [row for row in range(24, 40) if pixels[row, 100].tolist() == [255, 0, 0]] == [30, 31]


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
