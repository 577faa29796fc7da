"""What every detector can do, so that handler, training and explanations need not know which it is."""

from abc import ABC, abstractmethod
from typing import NotRequired, TypedDict

from torch import Tensor, nn
from torchvision.ops import batched_nms, clip_boxes_to_image

CANDIDATES, MOST = 400, 100  # boxes that NMS looks at, and that are left of them at most, for each image
OVERLAP = 0.45  # IoU from which on the worse of two boxes of a class goes


class Target(TypedDict):
    """The objects of one image, boxes as x1, y1, x2, y2 in pixels of the square: (M, 4) of float32, (M,) of int64.

    Where instances are segmented, `masks` are (M, S, S) of uint8: 1 where the object is.
    """

    boxes: Tensor
    labels: Tensor
    masks: NotRequired[Tensor]


class Detections(Target):
    """The same with scores, (M,) in 0..1, best first. `shapes` are what a network knows of masks: (M, K, K) in 0..1,
    how sure it is that the object is in each of K x K cells of its box (models/parts/masks.py lays them out).
    """

    scores: Tensor
    shapes: NotRequired[Tensor]


class Detector(nn.Module, ABC):
    """`forward` is the network alone: what is folded, exported and run fast. Its output goes to `detections`, which
    depends on no weights and so may be asked of any copy of the network. Classes are numbered from 0.
    """

    size: int

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S), normalised -> (N, ...): raw numbers, a row an image."""

    @abstractmethod
    def detections(self, raw: Tensor) -> list[Detections]:
        """What `forward` gave -> the objects in each image, however poor their scores."""

    @abstractmethod
    def losses(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """The parts of the loss, by name: scalars, to be added up. It takes images, for what a two-stage network
        learns from lies between its stages.
        """

    def best(self, boxes: Tensor, scores: Tensor) -> Detections:
        """boxes: (A, 4), or (A, K, 4) where each class has its own; scores: (A, K) -> NMS class by class: the best box
        is kept, those that overlap it go, and again with the next.
        """
        count, classes = scores.shape
        clipped = clip_boxes_to_image(boxes, (self.size, self.size)).view(count, -1, 4).expand(-1, classes, -1)
        top, order = scores.flatten().topk(min(CANDIDATES, scores.numel()))
        candidates, labels = clipped.reshape(-1, 4)[order], order % classes
        keep = batched_nms(candidates, top, labels, OVERLAP)[:MOST]
        return {"boxes": candidates[keep], "labels": labels[keep], "scores": top[keep]}
