"""Pages, lines cropped from them, and their recognition, with networks whose output is fixed."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from handlers.codecs.invoice_lines import InvoiceCodec
from handlers.codecs.text_line import Character, Reading, path_score
from handlers.codecs.text_page import Page, TextPageCodec, pad_pages, remove_padding
from handlers.documents import page_reader
from handlers.documents.page_handler import draw_boxes
from handlers.documents.text_proposals import TextLine
from handlers.errors import BadRequest
from handlers.vision.class_masks import class_pixels, class_shares, explained_class
from tests.handlers.documents.test_text_proposals import output, row_of
from tests.support.bare import pixels_of as pixels_in
from tests.support.samples import picture, png

CODEC = InvoiceCodec(64, "ab", 32, 256)
PAGE = Page(torch.full((1, 48, 96), 200, dtype=torch.uint8), (2.0, 1.5))


def test_a_page_knows_its_cells_and_where_a_box_was():
    assert PAGE.cells == (3, 6)
    assert PAGE.to_image((1, 2, 3, 4)) == [2.0, 3.0, 6.0, 6.0]
    assert PAGE.to_image((-1, -2, 97, 49)) == [0.0, 0.0, 192.0, 72.0]
    assert PAGE.to_image((0.123, 0.1, 96, 48)) == [0.2, 0.2, 192.0, 72.0]


@pytest.mark.parametrize(
    ("size", "shape"),
    [((100, 50), (32, 64)), ((64, 64), (64, 64)), ((40, 20), (16, 32)), ((41, 25), (32, 48)),
     ((1, 1), (16, 16)), ((1, 900), (64, 16))],
)  # fmt: skip
def test_sides_become_multiples_of_a_cell_and_no_page_grows(size, shape):
    page = TextPageCodec(64).page(picture(size=size))
    assert tuple(page.pixels.shape) == (1, *shape)
    assert page.scale == (size[0] / shape[1], size[1] / shape[0])
    assert page.pixels.dtype == torch.uint8


def test_black_is_one_for_zero_is_padding():
    page = TextPageCodec(64).page(png(Image.new("L", (32, 32), 0)))
    assert page.pixels.unique().tolist() == [1]
    assert TextPageCodec(64).normalize(torch.tensor([0, 51, 255])).tolist() == pytest.approx([0, 0.2, 1])


def test_pages_of_a_batch_are_padded_and_come_back():
    small, wide, high = (
        torch.randint(1, 256, (1, *size), dtype=torch.uint8) for size in ((16, 32), (16, 64), (48, 16))
    )
    batch = pad_pages([small, wide, high])
    assert batch.shape == (3, 1, 48, 64)
    assert int((batch == 0).sum()) == 3 * 48 * 64 - small.numel() - wide.numel() - high.numel()
    for page, one in zip(batch, (small, wide, high), strict=True):
        assert torch.equal(remove_padding(page), one)


def test_a_line_is_cut_out_with_a_little_paper_around_it(monkeypatch):
    cut = []
    monkeypatch.setattr(type(CODEC.line), "ink_of", lambda _, image: cut.append(np.asarray(image)))
    page = torch.arange(48 * 96, dtype=torch.int32).view(1, 48, 96) % 251
    page = page.to(torch.uint8)
    for box, (x1, y1, x2, y2) in (
        ((20.5, 10.5, 40.5, 20.5), (16, 7, 45, 24)),
        ((0.0, 0.0, 96.0, 48.0), (0, 0, 96, 48)),
        ((2.0, 1.0, 94.0, 47.0), (0, 0, 96, 48)),
        ((200.0, 90.0, 300.0, 99.0), (95, 47, 96, 48)),
        ((50.0, 30.0, 10.0, 5.0), (46, 27, 47, 28)),
    ):
        CODEC.ink(page, box)
        assert np.array_equal(cut[-1], page[0, y1:y2, x1:x2].numpy())


def test_lines_of_like_width_are_read_together():
    widths = [16 + 4 * (7 * number % 20) for number in range(20)]
    inks = [torch.full((width, 32), width, dtype=torch.uint8) for width in widths]
    seen = []

    def network(batch):
        seen.append(tuple(batch.shape))
        return batch.amax(dim=(1, 2, 3)).unsqueeze(1) * 255

    assert [round(float(one)) for one in CODEC.logits(inks, network)] == widths
    assert seen == [(16, 1, 32, sorted(widths)[15]), (4, 1, 32, sorted(widths)[19])]
    assert CODEC.logits([], network) == []


def test_lines_are_found_on_each_page_from_a_modest_score_on():
    one, none = output(*row_of(1, (2, 3), logit=-1.0)), output((1, 2, 3, -2.0))  # 0.27; 0.12
    broken = one.clone()
    broken[0, 0, 0, 1] = float("nan")
    found = page_reader.detect_lines(torch.stack([one, none]))
    assert [len(its) for its in found] == [1, 0]
    assert page_reader.detect_lines(broken[None]) == [[]]
    assert page_reader.detect_lines(output(*row_of(1, (2, 4), logit=-1.0))[None]) == [[]]  # 32 pixels apart
    (closest,) = page_reader.detect_lines(none[None], closest=True)
    assert [line.proposals.tolist() for line in closest] == [[(12 + 2) * 10 + 3]]
    assert len(page_reader.detect_lines(one[None], closest=True)[0]) == 1


class Says(nn.Module):
    """Reads "a" in every line, or nothing finite in lines that are wide."""

    def forward(self, lines):
        logits = torch.tensor([[0.0, 9, 0], [9, 0, 0]]).repeat(len(lines), 1, 1)
        logits[(lines > 0).all(dim=2).sum(dim=(1, 2)) > 200] = float("nan")
        return logits


def test_lines_are_read_page_by_page_and_a_strange_one_costs_its_own():
    short, other, wide = (
        TextLine((4.0, 4.0, x, 24.0), score, torch.tensor([0])) for x, score in ((40.0, 0.5), (50.0, 0.6), (206.0, 0.7))
    )
    batch = torch.rand(3, 1, 48, 208).clamp(min=0.1)
    one, strange, nothing = page_reader.recognize_lines(CODEC, batch, [[short, other], [wide], []], Says())
    assert [(line.box, line.score, line.reading.text) for line in one] == [(short.box, 0.5, "a"), (other.box, 0.6, "a")]
    pixels = (batch[0] * 255).round().to(torch.uint8)
    assert torch.equal(one[0].ink, CODEC.ink(pixels, short.box))
    assert torch.equal(one[1].ink, CODEC.ink(pixels, other.box))
    assert strange.isnan().any()
    assert nothing == []


def test_what_is_said_of_a_line_and_of_a_page():
    reading = Reading([Character(one, 0.9, place, place) for place, one in enumerate("（小写）￥12.50")], 0.12345678)
    line = page_reader.RecognizedLine((1.0, 2.0, 3.0, 4.0), 0.9, torch.zeros(0), reading)
    assert line.to_json(PAGE) == {"box": [2.0, 3.0, 6.0, 6.0], "text": "（小写）￥12.50", "confidence": 0.123457}
    assert page_reader.extract_fields([line])["total"].value == "12.50"


def test_the_boxes_are_drawn_in_red_on_the_page():
    shown = pixels_in(draw_boxes(PAGE, [(10, 10, 50, 30)]))
    assert shown.shape == (48, 96, 3)
    assert shown[10, 20].tolist() == shown[11, 20].tolist() == shown[20, 10].tolist() == [255, 0, 0]
    assert shown[20, 20].tolist() == shown[13, 20].tolist() == [200, 200, 200]
    assert (pixels_in(draw_boxes(PAGE, [])) == 200).all()


def test_the_score_of_what_was_read_is_that_of_its_path():
    logits = torch.tensor([[1.0, 2, 0], [3, 1, 0], [0, 0, 4]])
    network = lambda lines: logits[None] + lines.view(-1, 1, 1) * torch.tensor([1.0, 0, 0])  # noqa: E731
    for first, last, wanted in ((0, 2, [(0, 1), (1, 0), (2, 2)]), (1, 1, [(1, 0)]), (1, 2, [(1, 0), (2, 2)])):
        of = path_score(network, logits, first, last)
        lines = torch.tensor([0.0, 0.5])
        chances = network(lines).log_softmax(dim=2)
        assert of(lines).tolist() == pytest.approx([float(sum(row[at] for at in wanted)) for row in chances], abs=1e-5)


def test_shares_of_a_mask_the_largest_first():
    mask = torch.tensor([[2, 2, 2], [0, 2, 1]], dtype=torch.uint8)
    assert class_shares(mask, ["a", "b", "c", "d"]) == {"c": 0.666667, "a": 0.166667, "b": 0.166667}
    assert next(iter(class_shares(mask, ["a", "b", "c", "d"]))) == "c"


def test_the_class_that_is_asked_about():
    labels = ["ground", "cat", "dog"]
    assert explained_class({"ground": 0.7, "dog": 0.2, "cat": 0.1}, None, labels) == "dog"
    assert explained_class({"ground": 1.0}, None, labels) == "ground"
    assert explained_class({"ground": 0.7, "cat": 0.3}, "ground", labels) == "ground"
    with pytest.raises(BadRequest) as caught:
        explained_class({"ground": 0.7, "cat": 0.3}, "x" * 50, labels)
    reason = f"no class {'x' * 40!r} in the mask; there are: ground, cat"
    assert (caught.value.field, caught.value.reason) == ("target", reason)


def test_the_pixels_of_a_class_or_the_nearest_to_it():
    scores = torch.tensor([[[1.0, 5, 0]], [[2, 1, 0.5]], [[0, 4.5, 0.2]]])
    assert class_pixels(scores, 0).tolist() == [[False, True, False]]
    assert class_pixels(scores, 1).tolist() == [[True, False, True]]
    assert class_pixels(scores, 2).tolist() == [[False, False, True]]
