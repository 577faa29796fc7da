"""Images -> objects: what they are, where, and which pixels are theirs."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from handlers.codecs.letterbox import Letterboxed
from models.parts.detection import Detections, Target
from models.parts.masks import pasted
from training.detection import labels_in
from training.instances import MaskAP50, average_precisions, painted, squared
from training.tasks.object_detection import ObjectDetection


class InstanceSegmentation(ObjectDetection):
    """Object detection with a mask for each box, (S, S) of uint8: `map_50` and `map` are of masks."""

    def target(self, image: Letterboxed, target: Mapping[str, Any]) -> Target:
        easy = [mask for mask, difficult in zip(target["masks"], target["difficult"], strict=True) if not difficult]
        return {**super().target(image, target), "masks": squared(easy, image)}

    def new_metric(self) -> Metric:
        return MaskAP50()

    def found(self, raw: Tensor) -> Sequence[Detections]:
        size = (self.codec.size, self.codec.size)
        return [{**one, "masks": pasted(one["shapes"], one["boxes"], size)} for one in self.detector.detections(raw)]

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Mean average precision of masks and of boxes, at IoU 0.5 and the mean over 0.5 to 0.95."""
        found = average_precisions(truths, replies, labels_in(truths, replies))
        return {name: float(found[name]) for name in ("map_50", "map", "box_map_50", "box_map")}

    @staticmethod
    def figures(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
        return average_precisions(truths, replies, labels)

    def squared(self, image: Letterboxed, objects: Sequence[Mapping[str, Any]]) -> Target:
        masks = squared([one["mask"] for one in objects], image)
        return {**super().squared(image, objects), "masks": masks}

    def drawn(self, pixels: Tensor, target: Target, names: Sequence[str]) -> Tensor:
        return super().drawn(painted(pixels, target["masks"].to(torch.bool)), target, names)
