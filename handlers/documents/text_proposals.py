"""CTPN's proposals (Tian et al., arXiv:1609.03605): anchors, boxes decoded from them, and lines of connected boxes."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import nms

from handlers.codecs.text_page import CELL

HEIGHTS = (11, 16, 23, 33, 48, 68, 97, 139, 198, 283)  # of anchors, in pixels
SCORE = 0.25  # proposals below it are dropped; scores are low, since they are trained by focal loss
OVERLAP = 0.3  # IoU from which non-maximum suppression drops the worse of two proposals
REACH = 50  # pixels: largest distance of neighbours in a line
MIN_HEIGHT_SHARE = (
    0.7  # neighbours in a line overlap by this share of the shorter height, which is this share of the taller
)
MAX_END_OFFSET = 2.0  # cells: largest distance of a line's end from the middle of its last box


@dataclass(frozen=True)
class TextLine:
    """A line: `box` as x1, y1, x2, y2 in pixels of the page; `places` are its proposals' indices among all anchors."""

    box: tuple[float, float, float, float]
    score: float
    places: Tensor


def anchors(rows: int, columns: int) -> Tensor:
    """Return the anchors, (rows, columns, 10, 4): x1, y1, x2, y2, centred in each cell, all CELL wide."""
    y, x, height = torch.meshgrid(torch.arange(rows), torch.arange(columns), torch.tensor(HEIGHTS), indexing="ij")
    middle = (y + 0.5) * CELL
    return torch.stack([x * CELL, middle - height / 2, (x + 1) * CELL, middle + height / 2], dim=3)


def decode_proposals(output: Tensor) -> Tensor:
    """Decode the network's output, (rows, columns, 10, 4), to boxes of the same shape."""
    x1, y1, x2, y2 = anchors(*output.shape[:2]).unbind(3)
    height = y2 - y1
    middle = (y1 + y2) / 2 + output[..., 1] * height
    half = height * output[..., 2].clamp(max=2).exp() / 2
    return torch.stack([x1, middle - half, x2, middle + half], dim=3)


def connect_lines(output: Tensor, reach: float = REACH) -> list[TextLine]:
    """Connect the proposals of an output, (rows, columns, 10, 4), with a score of at least SCORE to lines.

    Lines are in order from top to bottom.
    """
    scores = output[..., 0].sigmoid().flatten()
    boxes, ends = decode_proposals(output).flatten(0, 2), output[..., 3].flatten()
    places = (scores >= SCORE).nonzero().squeeze(1)
    places = places[nms(boxes[places], scores[places], OVERLAP)]
    found = []
    for chain in chains(boxes[places], scores[places], reach):
        chosen = places[chain]
        first, last = chosen[0], chosen[-1]
        left, right = (
            float(boxes[end, 0]) + CELL / 2 + CELL * float(ends[end].clamp(-MAX_END_OFFSET, MAX_END_OFFSET))
            for end in (first, last)
        )
        if right > left:
            top, bottom = boxes[chosen][:, [1, 3]].mean(dim=0).tolist()
            found.append(TextLine((left, top, right, bottom), float(scores[chosen].mean()), chosen))
    return sorted(found, key=lambda line: (line.box[1], line.box[0]))


def best_proposal(output: Tensor) -> TextLine:
    """Return the proposal with the best score as a line."""
    place = output[..., 0].flatten().argmax()
    x1, y1, x2, y2 = decode_proposals(output).flatten(0, 2)[place].tolist()
    return TextLine((x1, y1, x2, y2), float(output[..., 0].flatten()[place].sigmoid()), place.unsqueeze(0))


def chains(boxes: Tensor, scores: Tensor, reach: float = REACH) -> list[list[int]]:
    """Return the indices of the boxes, (K, 4), of each line, from left to right; `scores` are theirs, (K,).

    Two boxes are joined when each is the other's neighbour (section 3.1 of the paper). The neighbour is the nearest box
    in its direction among those within `reach` pixels whose heights overlap by MIN_HEIGHT_SHARE, and of several in one
    column the one with the best score, as in the authors' program.
    """
    x, y1, y2 = boxes[:, 0], boxes[:, 1], boxes[:, 3]
    shared = torch.minimum(y2[:, None], y2) - torch.maximum(y1[:, None], y1)
    height = y2 - y1
    shorter, taller = torch.minimum(height[:, None], height), torch.maximum(height[:, None], height)
    gap = x - x[:, None]  # (K, K): from the box of the row to that of the column
    fits = (gap > 0) & (gap <= reach) & (shared >= MIN_HEIGHT_SHARE * shorter) & (shorter >= MIN_HEIGHT_SHARE * taller)
    following: dict[int, int] = {}
    if len(boxes):
        # Gaps are whole pixels and scores at most 1: a score never outweighs a distance.
        ahead = torch.where(fits, gap - scores, torch.inf).argmin(dim=1).tolist()
        back = torch.where(fits, gap - scores[:, None], torch.inf).argmin(dim=0).tolist()
        following = {i: j for i, j in enumerate(ahead) if fits[i, j] and back[j] == i}
    found = []
    for start in sorted(set(range(len(boxes))) - set(following.values())):
        chain = [start]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        found.append(chain)
    return found
