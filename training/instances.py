"""What is special where instances are segmented: masks in the square and in replies, and how good they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pycocotools import mask as coco
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import resize
from torchvision.utils import draw_segmentation_masks

from handlers.codecs.letterbox import Letterboxed
from training.detection import classes_and_boxes

Rle = Mapping[str, Any]  # size: [height, width], counts: COCO's compressed run lengths


class MaskAP50(MeanAveragePrecision):
    """The mean over classes of the average precision at IoU 0.5 of masks, targets and detections having `masks`."""

    def __init__(self) -> None:
        super().__init__(iou_type="segm", backend="faster_coco_eval", iou_thresholds=[0.5])
        self.warn_on_many_detections = False

    def compute(self) -> Tensor:  # type: ignore[override]
        return super().compute()["map_50"]


def unpacked(masks: Sequence[Rle], size: tuple[int, int]) -> Tensor:
    """Run lengths -> (M, *size) of uint8, `size` being (height, width); masks of another size are scaled to it."""
    held = torch.zeros(len(masks), *size, dtype=torch.uint8)
    for place, one in enumerate(masks):
        mask = torch.from_numpy(np.ascontiguousarray(coco.decode(one))).unsqueeze(0)
        held[place] = resize(mask, list(size), InterpolationMode.NEAREST)[0]
    return held


def squared(masks: Sequence[Rle], image: Letterboxed) -> Tensor:
    """Masks of an image as sent -> (M, S, S) of uint8, in the square in which it is."""
    left, top, right, bottom = image.window
    held = torch.zeros(len(masks), *image.pixels.shape[1:], dtype=torch.uint8)
    for place, one in enumerate(masks):  # one after the other: the image may be large
        mask = resize(255 * unpacked([one], image.size), [bottom - top, right - left], antialias=True)
        held[place, top:bottom, left:right] = mask[0] > 127
    return held


def average_precisions(
    truths: Sequence[Mapping[str, Any]], replies: Sequence[Mapping[str, Any]], labels: Sequence[str]
) -> dict[str, Any]:
    """COCO's figures for JSON replies: those of the masks as `map` and the like, those of the boxes as `box_map`."""
    metric = MeanAveragePrecision(
        iou_type=("bbox", "segm"), backend="faster_coco_eval", class_metrics=True, extended_summary=True
    )
    metric.warn_on_many_detections = False
    for truth, reply in zip(truths, replies, strict=True):
        wanted, found = classes_and_boxes(truth, reply, labels)
        masks = [one["mask"] for one in reply["objects"]]
        height, width = next((one["size"] for one in (*truth["masks"], *masks)), (1, 1))
        wanted["masks"] = unpacked(truth["masks"], (height, width)).bool()
        found["masks"] = unpacked(masks, (height, width)).bool()
        metric.update([found], [wanted])
    return {name.removeprefix("segm_").replace("bbox_", "box_"): figure for name, figure in metric.compute().items()}


def painted(pixels: Tensor, masks: Tensor) -> Tensor:
    """(3, H, W) of uint8 with the masks (M, H, W) of bool in colours."""
    return draw_segmentation_masks(pixels, masks, alpha=0.5) if len(masks) else pixels
