"""CTPN's proposals: anchors, the boxes that a network makes of them, and the lines that boxes join into."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import nms

from handlers.codecs.text_page import CELL

HEIGHTS = (11, 16, 23, 33, 48, 68, 97, 139, 198, 283)  # of anchors, in pixels
SCORE = 0.5  # proposals below it are dropped
OVERLAP = 0.3  # of those in one place, the best stays: all others that have this IoU with it go
REACH = 50  # pixels: boxes of one line are no further apart
ALIKE = 0.7  # neighbours in a line share this much of the shorter one's height, which is this much of the taller one's
FAR = 2.0  # cells: an end of a line is no further from its last box's middle


@dataclass(frozen=True)
class Line:
    """`box` is x1, y1, x2, y2 in pixels of the page; `places` are those of its proposals among all anchors, flat."""

    box: tuple[float, float, float, float]
    score: float
    places: Tensor


def anchors(rows: int, columns: int) -> Tensor:
    """(rows, columns, 10, 4): x1, y1, x2, y2, centred in each cell, all 16 wide."""
    y, x, height = torch.meshgrid(torch.arange(rows), torch.arange(columns), torch.tensor(HEIGHTS), indexing="ij")
    middle = (y + 0.5) * CELL
    return torch.stack([x * CELL, middle - height / 2, (x + 1) * CELL, middle + height / 2], dim=3)


def proposals(output: Tensor) -> Tensor:
    """The network's (rows, columns, 10, 4) -> boxes of the same shape."""
    x1, y1, x2, y2 = anchors(*output.shape[:2]).unbind(3)
    height = y2 - y1
    middle = (y1 + y2) / 2 + output[..., 1] * height
    half = height * output[..., 2].clamp(max=2).exp() / 2
    return torch.stack([x1, middle - half, x2, middle + half], dim=3)


def lines(output: Tensor, reach: float = REACH, least: float = SCORE) -> list[Line]:
    """The network's (rows, columns, 10, 4) -> lines, from the top to the bottom, of proposals that score `least`."""
    scores = output[..., 0].sigmoid().flatten()
    boxes, ends = proposals(output).flatten(0, 2), output[..., 3].flatten()
    places = (scores >= least).nonzero().squeeze(1)
    places = places[nms(boxes[places], scores[places], OVERLAP)]
    found = []
    for chain in chains(boxes[places], reach):
        chosen = places[chain]
        first, last = chosen[0], chosen[-1]
        left, right = (
            float(boxes[end, 0]) + CELL / 2 + CELL * float(ends[end].clamp(-FAR, FAR)) for end in (first, last)
        )
        if right > left:
            top, bottom = boxes[chosen][:, [1, 3]].mean(dim=0).tolist()
            found.append(Line((left, top, right, bottom), float(scores[chosen].mean()), chosen))
    return sorted(found, key=lambda line: (line.box[1], line.box[0]))


def best(output: Tensor) -> Line:
    """The proposal with the best score as a line of its own."""
    place = output[..., 0].flatten().argmax()
    x1, y1, x2, y2 = proposals(output).flatten(0, 2)[place].tolist()
    return Line((x1, y1, x2, y2), float(output[..., 0].flatten()[place].sigmoid()), place.unsqueeze(0))


def chains(boxes: Tensor, reach: float = REACH) -> list[list[int]]:
    """(K, 4) -> the places of the boxes of each line, from left to right.

    Two boxes are neighbours when each is the nearest to the other, one looking forward, the other backward, among
    those within `reach` that are ALIKE.
    """
    x, y1, y2 = boxes[:, 0], boxes[:, 1], boxes[:, 3]
    shared = torch.minimum(y2[:, None], y2) - torch.maximum(y1[:, None], y1)
    height = y2 - y1
    shorter, taller = torch.minimum(height[:, None], height), torch.maximum(height[:, None], height)
    gap = x - x[:, None]  # (K, K): from the row's box to the column's
    fits = (gap > 0) & (gap <= reach) & (shared >= ALIKE * shorter) & (shorter >= ALIKE * taller)
    distance = torch.where(fits, gap - shared / taller, torch.inf)  # of two as near, the one that is more alike
    following: dict[int, int] = {}
    if len(boxes):
        ahead, back = distance.argmin(dim=1).tolist(), distance.argmin(dim=0).tolist()
        following = {i: j for i, j in enumerate(ahead) if fits[i, j] and back[j] == i}
    found = []
    for start in sorted(set(range(len(boxes))) - set(following.values())):
        chain = [start]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        found.append(chain)
    return found
