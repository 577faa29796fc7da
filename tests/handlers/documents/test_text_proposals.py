"""CTPN's proposals, by hand: where anchors are, what outputs make of them, and which join into a line."""

import math

import pytest
import torch

from handlers.documents.text_proposals import HEIGHTS, anchors, best_proposal, chains, connect_lines, decode_proposals

SURE, UNSURE = 3.0, -9.0  # logits


def output(*cells, rows=4, columns=12) -> torch.Tensor:
    """Nothing anywhere, but in cells: (row, column, anchor, logit) and perhaps the end, in cells from the middle."""
    made = torch.zeros(rows, columns, len(HEIGHTS), 4)
    made[..., 0] = UNSURE
    for row, column, anchor, logit, *end in cells:
        made[row, column, anchor, 0] = logit
        made[row, column, anchor, 3] = end[0] if end else 0.0
    return made


def row_of(row, columns, anchor=3, logit=SURE):
    return [(row, column, anchor, logit) for column in columns]


def test_anchors_are_a_cell_wide_and_of_ten_heights_around_its_middle():
    found = anchors(2, 3)
    assert found.shape == (2, 3, 10, 4)
    assert found[1, 2, 0].tolist() == [32, 24 - 5.5, 48, 24 + 5.5]
    assert found[0, 1, 3].tolist() == [16, 8 - 16.5, 32, 8 + 16.5]
    assert (found[..., 3] - found[..., 1])[0, 0].tolist() == list(HEIGHTS)


def test_an_output_moves_an_anchor_by_its_height_and_stretches_it():
    made = output()
    assert torch.equal(decode_proposals(made), anchors(4, 12))
    made[1, 2, 3, 1] = 0.5  # half of 33 pixels down
    made[1, 2, 3, 2] = math.log(2)
    assert decode_proposals(made)[1, 2, 3].tolist() == pytest.approx([32, 24 + 16.5 - 33, 48, 24 + 16.5 + 33])
    made[1, 2, 3, 1:3] = torch.tensor([0.0, -3.0])
    assert decode_proposals(made)[1, 2, 3, 3] == pytest.approx(24 + 16.5 * math.exp(-3))
    made[1, 2, 3, 2] = 5.0  # no more than by e squared
    assert decode_proposals(made)[1, 2, 3, 3] == pytest.approx(24 + 16.5 * math.exp(2))


def test_a_line_goes_from_end_to_end_and_knows_its_proposals():
    made = output((1, 2, 3, SURE, -0.25), (1, 3, 3, 1.0), (1, 4, 3, SURE, 0.5))
    made[1, 3, 3, 1] = 1 / 11  # 3 pixels down
    (line,) = connect_lines(made)
    assert line.box == pytest.approx((32 + 8 - 4, 24 - 16.5 + 1, 64 + 8 + 8, 24 + 16.5 + 1))
    assert line.score == pytest.approx(torch.tensor([SURE, 1.0, SURE]).sigmoid().mean())
    assert line.proposals.tolist() == [(12 + column) * 10 + 3 for column in (2, 3, 4)]


def test_an_end_is_at_most_two_cells_from_its_box():
    (line,) = connect_lines(output((1, 3, 3, SURE, -9.0), (1, 4, 3, SURE), (1, 5, 3, SURE, 9.0)))
    assert (line.box[0], line.box[2]) == (48 + 8 - 32, 80 + 8 + 32)


def test_a_line_that_ends_where_it_begins_is_none():
    assert connect_lines(output((1, 3, 3, SURE))) == []
    assert connect_lines(output((1, 3, 3, SURE, 2.0), (1, 4, 3, SURE, -1.0))) == []


def test_of_proposals_in_one_place_the_best_stays():
    doubled = row_of(1, (2, 3, 4)) + row_of(1, (2, 3, 4), anchor=4, logit=2.0)  # 33 of 48 pixels in common
    (line,) = connect_lines(output(*doubled))
    assert line.box[3] - line.box[1] == 33
    (line,) = connect_lines(output(*row_of(1, (2, 3, 4), logit=2.0), *row_of(1, (2, 3, 4), anchor=4)))
    assert line.box[3] - line.box[1] == 48
    small = row_of(1, (2, 3, 4)) + row_of(1, (2, 3, 4), anchor=8)  # 33 of 198: not the same place
    assert len(connect_lines(output(*small))) == 2


def test_proposals_count_from_a_score_of_a_quarter_on():
    quarter = -math.log(3)  # the logit of 0.25
    (line,) = connect_lines(output(*row_of(1, (2, 3), logit=quarter + 1e-4)))
    assert line.score == pytest.approx(0.25, abs=1e-4)
    assert connect_lines(output(*row_of(1, (2, 3), logit=quarter - 0.01))) == []


def test_boxes_of_a_line_are_at_most_50_pixels_apart_or_what_is_asked():
    apart = output(*row_of(1, (2, 5, 8)))  # 48 pixels
    assert len(connect_lines(apart)) == 1
    assert connect_lines(apart, max_gap=47) == []
    assert len(connect_lines(apart, max_gap=48)) == 1
    assert connect_lines(output(*row_of(1, (2, 6)))) == []


def test_lines_come_from_the_top_to_the_bottom_and_from_the_left():
    found = connect_lines(
        output(
            *row_of(3, (1, 2), anchor=0),
            *row_of(0, (8, 9), anchor=0, logit=5.0),
            *row_of(0, (1, 2), anchor=0, logit=1.0),
            *row_of(1, (4, 5), anchor=0, logit=4.0),
        )
    )
    assert [(line.box[1], line.box[0]) for line in found] == [(2.5, 24), (2.5, 136), (18.5, 72), (50.5, 24)]


def test_the_best_proposal_is_a_line_of_its_own():
    made = output((1, 2, 0, -2.0), (2, 3, 1, -1.0))
    made[2, 3, 1, 1] = 0.25
    line = best_proposal(made)
    assert line.box == (48, 40 + 4 - 8, 64, 40 + 4 + 8)
    assert line.score == pytest.approx(1 / (1 + math.e))
    assert line.proposals.tolist() == [(2 * 12 + 3) * 10 + 1]


def joined_boxes(*edges, flip=False, **options) -> list[list[int]]:
    """Return the chains of boxes 16 pixels wide, each given as x, top, bottom and perhaps a score other than 0.9."""
    boxes = torch.tensor([[x, top, x + 16.0, bottom] for x, top, bottom, *_ in edges]).reshape(-1, 4)
    scores = torch.tensor([score[0] if score else 0.9 for _, _, _, *score in edges])
    return chains(boxes.flip(0), scores.flip(0), **options) if flip else chains(boxes, scores, **options)


@pytest.mark.parametrize(
    ("other", "joined"),
    [
        ((50, 0, 20), True),
        ((51, 0, 20), False),  # too far
        ((16, 6, 26), True),  # 14 of 20 pixels in common
        ((16, 7, 27), False),
        ((16, 0, 14), True),  # 14 as high as 20
        ((16, 0, 13), False),
        ((16, -4, 24), True),
        ((16, -5, 24), False),
        ((0, 0, 20), False),  # not beside it
        ((16, 40, 60), False),
    ],
)
def test_neighbours_are_near_and_alike(other, joined):
    assert joined_boxes((0, 0, 20), other) == ([[0, 1]] if joined else [[0], [1]])
    assert joined_boxes((0, 0, 20), other, flip=True) == ([[1, 0]] if joined else [[0], [1]])


def test_of_two_as_near_the_one_with_the_better_score_is_the_neighbour():
    assert joined_boxes((0, 0, 20), (16, 1, 21, 0.6), (16, 4, 24, 0.8)) == [[0, 2], [1]]
    assert joined_boxes((0, 0, 20), (16, 4, 24, 0.6), (16, 1, 21, 0.8)) == [[0, 2], [1]]
    assert joined_boxes((16, 0, 20), (0, 1, 21, 0.6), (0, 4, 24, 0.8)) == [[1], [2, 0]]


def test_a_nearer_box_comes_before_one_with_a_better_score():
    assert joined_boxes((0, 0, 20), (32, 0, 20, 1.0), (16, 5, 25, 0.01)) == [[0, 2, 1]]


def test_a_neighbour_must_be_mutual():
    """Two look ahead to one, and one has two behind it: the nearer, or the one with the better score, is joined."""
    assert joined_boxes((0, 0, 20), (8, 7, 27), (24, 3, 23)) == [[0], [1, 2]]
    assert joined_boxes((0, 3, 23), (16, 0, 20, 0.8), (16, 7, 27, 0.6)) == [[0, 1], [2]]
    assert joined_boxes((0, 0, 20, 0.5), (0, 6, 26, 0.6), (16, 3, 23)) == [[0], [1, 2]]


def test_the_reach_may_be_another():
    assert joined_boxes((0, 0, 20), (20, 0, 20), max_gap=20) == [[0, 1]]
    assert joined_boxes((0, 0, 20), (21, 0, 20), max_gap=20) == [[0], [1]]
    assert joined_boxes() == []
