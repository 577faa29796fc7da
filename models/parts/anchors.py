"""SSD's default boxes: their positions, their targets, and hard negative mining."""

import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from models.parts.detection import Target

CODER = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))  # offsets in tenths of a box's size, sizes in fifths of e
MATCHER = SSDMatcher(0.5)


def default_boxes(size: int, strides: list[int], scales: list[float], ratios: list[int]) -> tuple[Tensor, int]:
    """Return the boxes, (A, 4) as x1, y1, x2, y2 on a square of `size` pixels, and their number per position.

    They are in order of map, row and column.

    At each position of a map with scale s: two squares, of s and of the mean with the next scale, and a wide and a tall
    box for each ratio. `scales` are shares of `size`, one more than there are maps.
    """
    generator = DefaultBoxGenerator([ratios] * len(strides), scales=scales, clip=False)
    maps = [torch.zeros(1, 1, -(-size // stride), -(-size // stride)) for stride in strides]
    (boxes,) = generator(ImageList(torch.zeros(1, 3, size, size), [(size, size)]), maps)
    return boxes, generator.num_anchors_per_location()[0]


def match(target: Target, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the targets of A boxes: classes, (A,), 0 for none and others from 1; and offsets, (A, 4).

    A box is matched to the object that it overlaps most, if the IoU is at least 0.5; each object has at least the box
    that overlaps it most.
    """
    classes = torch.zeros(len(anchors), dtype=torch.int64, device=anchors.device)
    if not len(target["boxes"]):
        return classes, torch.zeros_like(anchors)
    object_of = MATCHER(box_iou(target["boxes"], anchors))  # (A,), negative for none
    matched = object_of >= 0
    classes[matched] = target["labels"][object_of[matched]] + 1
    return classes, CODER.encode_single(target["boxes"][object_of.clamp(min=0)], anchors)


def hard_negatives(losses: Tensor, matched: Tensor, ratio: int = 3) -> Tensor:
    """Return a mask, (N, A), of the unmatched boxes with the largest losses, `ratio` for each matched box."""
    count = ratio * matched.sum(dim=1, keepdim=True)
    rank = losses.detach().masked_fill(matched, -torch.inf).argsort(dim=1, descending=True).argsort(dim=1)
    return (rank < count) & ~matched
