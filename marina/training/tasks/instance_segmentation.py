"""Instance segmentation: images -> objects with label, box and mask."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pycocotools import mask as coco
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.detection import MeanAveragePrecision
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import resize
from torchvision.utils import draw_segmentation_masks

from handlers.codecs.letterbox import Letterboxed
from marina.training.tasks.common.boxes import labels_of, metric_inputs
from marina.training.tasks.object_detection import ObjectDetection
from models.parts.detection import Detections, Target
from models.parts.masks import pasted

Rle = Mapping[str, Any]  # size: [height, width], counts: COCO's compressed run lengths


class MaskAP50(MeanAveragePrecision):
    """Mean over classes of the average precision at IoU 0.5 of masks; targets and detections have `masks`."""

    def __init__(self) -> None:
        super().__init__(iou_type="segm", backend="faster_coco_eval", iou_thresholds=[0.5])
        self.warn_on_many_detections = False

    def compute(self) -> Tensor:  # type: ignore[override]
        return super().compute()["map_50"]


def unpacked(masks: Sequence[Rle], size: tuple[int, int]) -> Tensor:
    """Return masks in run lengths as (M, *size) of uint8, `size` being (height, width); masks of another size are
    scaled.
    """
    held = torch.zeros(len(masks), *size, dtype=torch.uint8)
    for place, one in enumerate(masks):
        mask = torch.from_numpy(np.ascontiguousarray(coco.decode(one))).unsqueeze(0)
        held[place] = resize(mask, list(size), InterpolationMode.NEAREST)[0]
    return held


def letterbox_masks(masks: Sequence[Rle], image: Letterboxed) -> Tensor:
    """Return masks of an image as sent as (M, S, S) of uint8, in its letterboxed square."""
    left, top, right, bottom = image.window
    held = torch.zeros(len(masks), *image.pixels.shape[1:], dtype=torch.uint8)
    for place, one in enumerate(masks):  # one after the other: the image may be large
        mask = resize(255 * unpacked([one], image.size), [bottom - top, right - left], antialias=True)
        held[place, top:bottom, left:right] = mask[0] > 127
    return held


def average_precisions(
    truths: Sequence[Mapping[str, Any]], responses: Sequence[Mapping[str, Any]], labels: Sequence[str]
) -> dict[str, Any]:
    """Return COCO's metrics of JSON responses: those of the masks as `map` and the like, those of the boxes as
    `box_map`.
    """
    metric = MeanAveragePrecision(
        iou_type=("bbox", "segm"), backend="faster_coco_eval", class_metrics=True, extended_summary=True
    )
    metric.warn_on_many_detections = False
    for truth, response in zip(truths, responses, strict=True):
        expected, found = metric_inputs(truth, response, labels)
        masks = [one["mask"] for one in response["objects"]]
        height, width = next((one["size"] for one in (*truth["masks"], *masks)), (1, 1))
        expected["masks"] = unpacked(truth["masks"], (height, width)).bool()
        found["masks"] = unpacked(masks, (height, width)).bool()
        metric.update([found], [expected])
    return {name.removeprefix("segm_").replace("bbox_", "box_"): figure for name, figure in metric.compute().items()}


def painted(pixels: Tensor, masks: Tensor) -> Tensor:
    """Return the image, (3, H, W) of uint8, with the masks (M, H, W) of bool in colours."""
    return draw_segmentation_masks(pixels, masks, alpha=0.5) if len(masks) else pixels


class InstanceSegmentation(ObjectDetection):
    """Object detection with a mask for each box, (S, S) of uint8: `map_50` and `map` are of masks."""

    def target(self, image: Letterboxed, target: Mapping[str, Any]) -> Target:
        easy = [mask for mask, difficult in zip(target["masks"], target["difficult"], strict=True) if not difficult]
        return {**super().target(image, target), "masks": letterbox_masks(easy, image)}

    def new_metric(self) -> Metric:
        return MaskAP50()

    def metric_detections(self, output: Tensor) -> Sequence[Detections]:
        size = (self.codec.size, self.codec.size)
        return [{**one, "masks": pasted(one["shapes"], one["boxes"], size)} for one in self.detector.detections(output)]

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the mean average precision of masks and of boxes, at IoU 0.5 and the mean over 0.5 to 0.95."""
        found = average_precisions(truths, responses, labels_of(truths, responses))
        return {name: float(found[name]) for name in ("map_50", "map", "box_map_50", "box_map")}

    @staticmethod
    def coco_metrics(
        truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], labels: Sequence[str]
    ) -> dict[str, Any]:
        return average_precisions(truths, responses, labels)

    def response_target(self, image: Letterboxed, objects: Sequence[Mapping[str, Any]]) -> Target:
        masks = letterbox_masks([one["mask"] for one in objects], image)
        return {**super().response_target(image, objects), "masks": masks}

    def overlay_objects(self, pixels: Tensor, target: Target, names: Sequence[str]) -> Tensor:
        return super().overlay_objects(painted(pixels, target["masks"].to(torch.bool)), target, names)
