"""Interface of detectors, by which handlers, training and explanations use any of them."""

from abc import ABC, abstractmethod
from typing import NotRequired, TypedDict

from torch import Tensor, nn
from torchvision.ops import batched_nms, clip_boxes_to_image

CANDIDATES, MOST = 400, 100  # boxes per image before and after non-maximum suppression (NMS), at most
OVERLAP = 0.45  # IoU above which NMS drops the worse of two boxes of a class


class Target(TypedDict):
    """The objects of one image, boxes as x1, y1, x2, y2 in pixels of the square: (M, 4) of float32, (M,) of int64.

    Where instances are segmented, `masks` are (M, S, S) of uint8: 1 where the object is.
    """

    boxes: Tensor
    labels: Tensor
    masks: NotRequired[Tensor]


class Detections(Target):
    """Targets with scores, (M,) in 0..1, best first.

    `shapes` are masks, (M, K, K) in 0..1: the probability that the object covers each of K x K cells of its box
    (models/parts/masks.py scales them to pixels).
    """

    scores: Tensor
    shapes: NotRequired[Tensor]


class Detector(nn.Module, ABC):
    """Base class. `forward` is the network alone: the part that is folded, exported and optimized.

    Its output goes to `detections`, which uses no weights: any copy of the network will do. Classes count from 0.
    """

    size: int

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return raw outputs, (N, ...), of normalized images, (N, 3, S, S)."""

    @abstractmethod
    def detections(self, raw: Tensor) -> list[Detections]:
        """Convert the output of `forward` to the objects in each image, however low their scores."""

    @abstractmethod
    def losses(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Return the parts of the loss by name: scalars, to be added up.

        It takes images because a two-stage network's losses arise between its stages.
        """

    def best(self, boxes: Tensor, scores: Tensor) -> Detections:
        """Apply NMS class by class: keep the best box, drop those that overlap it, repeat with the next.

        boxes: (A, 4), or (A, K, 4) where each class has its own; scores: (A, K).
        """
        count, classes = scores.shape
        clipped = clip_boxes_to_image(boxes, (self.size, self.size)).view(count, -1, 4).expand(-1, classes, -1)
        top, order = scores.flatten().topk(min(CANDIDATES, scores.numel()))
        candidates, labels = clipped.reshape(-1, 4)[order], order % classes
        keep = batched_nms(candidates, top, labels, OVERLAP)[:MOST]
        return {"boxes": candidates[keep], "labels": labels[keep], "scores": top[keep]}
