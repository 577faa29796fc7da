"""CTPN's proposals (Tian et al., arXiv:1609.03605): anchors, boxes decoded from them, and lines of connected boxes.

An anchor is a box of fixed width, one cell of the network's output grid, and one of ten heights. For each the network
returns four numbers: the logit of being text; the vertical offset of the centre, in heights of the anchor; the log of
the height, relative to the anchor's; and the distance of the line's end from the box's centre, in cells ("side
refinement" in the paper), which counts in the first and last box of a line.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import nms

from handlers.codecs.text_page import CELL

HEIGHTS = (11, 16, 23, 33, 48, 68, 97, 139, 198, 283)  # of anchors, in pixels
MIN_SCORE = 0.25  # proposals below it are dropped; scores are low, since they are trained by focal loss
NMS_IOU = 0.3  # of two proposals with a larger IoU, non-maximum suppression drops the one with the lower score
MAX_LINE_GAP = 50  # pixels between the left edges of neighbours in a line
# Of neighbours in a line: the overlap of their vertical extents to the shorter height, and the shorter height to the
# taller one.
MIN_HEIGHT_RATIO = 0.7
MAX_END_OFFSET = 2.0  # cells: largest distance of a line's end from the middle of its last box


@dataclass(frozen=True)
class TextLine:
    """A line of text: `box` as x1, y1, x2, y2 in pixels of the page, `score` the mean of its proposals.

    `proposals`, (K,), are indices among all anchors of the page, in the flat order of `anchors`.
    """

    box: tuple[float, float, float, float]
    score: float
    proposals: Tensor


def anchors(rows: int, columns: int) -> Tensor:
    """Return the anchors, (rows, columns, 10, 4), as x1, y1, x2, y2 in pixels: centred in their cells, CELL wide."""
    y, x, height = torch.meshgrid(torch.arange(rows), torch.arange(columns), torch.tensor(HEIGHTS), indexing="ij")
    middle = (y + 0.5) * CELL
    return torch.stack([x * CELL, middle - height / 2, (x + 1) * CELL, middle + height / 2], dim=3)


def decode_proposals(output: Tensor) -> Tensor:
    """Decode the network's output, (rows, columns, 10, 4), to boxes, x1, y1, x2, y2 in pixels, of the same shape."""
    x1, y1, x2, y2 = anchors(*output.shape[:2]).unbind(3)
    height = y2 - y1
    middle = (y1 + y2) / 2 + output[..., 1] * height
    half = height * output[..., 2].clamp(max=2).exp() / 2
    return torch.stack([x1, middle - half, x2, middle + half], dim=3)


def connect_lines(output: Tensor, max_gap: float = MAX_LINE_GAP) -> list[TextLine]:
    """Connect the proposals of an output, (rows, columns, 10, 4), with a score of at least MIN_SCORE to lines.

    Lines are ordered from top to bottom; a box is as high as the mean of its proposals.
    """
    scores = output[..., 0].sigmoid().flatten()
    boxes, offsets = decode_proposals(output).flatten(0, 2), output[..., 3].flatten()
    kept = (scores >= MIN_SCORE).nonzero().squeeze(1)
    kept = kept[nms(boxes[kept], scores[kept], NMS_IOU)]
    found = []
    for chain in chains(boxes[kept], scores[kept], max_gap):
        chosen = kept[chain]
        first, last = chosen[0], chosen[-1]
        left, right = (
            float(boxes[end, 0]) + CELL / 2 + CELL * float(offsets[end].clamp(-MAX_END_OFFSET, MAX_END_OFFSET))
            for end in (first, last)
        )
        if right > left:
            top, bottom = boxes[chosen][:, [1, 3]].mean(dim=0).tolist()
            found.append(TextLine((left, top, right, bottom), float(scores[chosen].mean()), chosen))
    return sorted(found, key=lambda line: (line.box[1], line.box[0]))


def best_proposal(output: Tensor) -> TextLine:
    """Return the proposal with the highest score as a line, for a page on which no line is found."""
    best = output[..., 0].flatten().argmax()
    x1, y1, x2, y2 = decode_proposals(output).flatten(0, 2)[best].tolist()
    return TextLine((x1, y1, x2, y2), float(output[..., 0].flatten()[best].sigmoid()), best.unsqueeze(0))


def chains(boxes: Tensor, scores: Tensor, max_gap: float = MAX_LINE_GAP) -> list[list[int]]:
    """Return the indices of the boxes of each line, from left to right. boxes: (K, 4); scores: (K,).

    Two boxes are joined when each is the other's neighbour (section 3.1 of the paper). The neighbour is the nearest box
    in its direction within `max_gap` pixels that satisfies MIN_HEIGHT_RATIO, and of several in one column the one with
    the highest score, as in the authors' code.
    """
    x, y1, y2 = boxes[:, 0], boxes[:, 1], boxes[:, 3]
    shared = torch.minimum(y2[:, None], y2) - torch.maximum(y1[:, None], y1)
    height = y2 - y1
    shorter, taller = torch.minimum(height[:, None], height), torch.maximum(height[:, None], height)
    gap = x - x[:, None]  # (K, K): gap[i, j] is from the left edge of box i to that of box j
    alike = (shared >= MIN_HEIGHT_RATIO * shorter) & (shorter >= MIN_HEIGHT_RATIO * taller)
    joinable = (gap > 0) & (gap <= max_gap) & alike
    following: dict[int, int] = {}  # from a box to its right neighbour
    if len(boxes):
        # Gaps are whole pixels and scores at most 1: a score never outweighs a distance.
        ahead = torch.where(joinable, gap - scores, torch.inf).argmin(dim=1).tolist()
        back = torch.where(joinable, gap - scores[:, None], torch.inf).argmin(dim=0).tolist()
        following = {i: j for i, j in enumerate(ahead) if joinable[i, j] and back[j] == i}
    found = []
    for start in sorted(set(range(len(boxes))) - set(following.values())):
        chain = [start]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        found.append(chain)
    return found
