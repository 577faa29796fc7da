"""Two passes over small print: which pages are enlarged, what the network gets, and where boxes are afterwards."""

import pytest
import torch

from handlers.codecs.text_page import pad_pages
from handlers.documents.line_detection import SMALL, detect, is_small
from handlers.documents.text_proposals import TextLine
from tests.handlers.documents.test_text_detection import perfect_output

SMALL_PRINT = [[16.0, 10.0, 60.0, 22.0], [16.0, 30.0, 60.0, 42.0], [16.0, 46.0, 60.0, 62.0]]  # median height 12
LARGE_PRINT = [[16.0, 10.0, 60.0, 30.0]]
DOUBLED = [[2 * edge for edge in box] for box in SMALL_PRINT]


class Finder:
    """Finds `first` on pages of up to 64 pixels, `second` on larger ones; records the pages."""

    def __init__(self, first, second=()):
        self.boxes = (first, second)
        self.pages = []

    def __call__(self, batch):
        self.pages.append(batch)
        rows, columns = (side // 16 for side in batch.shape[2:])
        return perfect_output(self.boxes[columns > 4], rows, columns).expand(len(batch), -1, -1, -1, -1)


def page(height=64, width=64) -> torch.Tensor:
    return torch.linspace(0.1, 0.9, height * width).view(1, height, width)


def boxes_of(detection):
    return [pytest.approx(line.box, abs=0.2) for line in detection.lines]


def test_small_print_is_enlarged_and_boxes_are_on_the_page_itself():
    finder = Finder(SMALL_PRINT[:1], DOUBLED)
    (found,) = detect(finder, page()[None])
    assert [tuple(batch.shape) for batch in finder.pages] == [(1, 1, 64, 64), (1, 1, 128, 128)]
    assert boxes_of(found) == SMALL_PRINT
    assert found.enlarged
    assert found.output.shape[:2] == (8, 8)


@pytest.mark.parametrize("lines", [LARGE_PRINT, []], ids=["large print", "no lines"])
def test_other_pages_are_not(lines):
    finder = Finder(lines, DOUBLED)
    (found,) = detect(finder, page()[None])
    assert len(finder.pages) == 1
    assert lines == boxes_of(found)
    assert not found.enlarged


def test_where_the_second_pass_finds_nothing_the_first_counts():
    (found,) = detect(Finder(SMALL_PRINT), page()[None])
    assert boxes_of(found) == SMALL_PRINT
    assert (found.output.shape[:2], found.enlarged) == ((4, 4), False)


def test_the_median_height_decides():
    lines = [TextLine((0.0, 0.0, 50.0, height), 0.9, torch.tensor([0])) for height in (5.0, SMALL, 90.0)]
    assert not is_small(lines)
    assert is_small(lines[:2])
    assert not is_small([])


def test_padding_is_cut_off_before_a_page_is_enlarged():
    finder = Finder(SMALL_PRINT, DOUBLED)
    detect(finder, pad_pages([page(), page(32, 48)]))
    assert [tuple(batch.shape[1:]) for batch in finder.pages] == [(1, 64, 64), (1, 128, 128), (1, 64, 96)]
    assert all(batch.min() > 0 for batch in finder.pages[1:])


def test_an_output_that_is_not_finite_has_no_lines():
    broken = perfect_output(SMALL_PRINT, 4, 4)
    broken[0, 0, 0, 1] = float("nan")
    (found,) = detect(lambda batch: broken[None], page()[None])
    assert found.lines == []
    assert found.output.isnan().any()
