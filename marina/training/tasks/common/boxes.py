"""Boxes in several tasks: mean average precision, augmentation that moves boxes along, and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, Mask
from torchvision.utils import draw_bounding_boxes

from marina.training.data.augmentation import IMAGES_PER_DRAW, annotated_transforms
from models.parts.detection import Target

SMALLEST = 6  # pixels: what is left of an object that was moved out of the image is none if it is smaller


class MAP50(MeanAveragePrecision):
    """Mean over classes of the average precision at IoU 0.5, of targets and detections in a network's form."""

    def __init__(self) -> None:
        super().__init__(backend="faster_coco_eval", iou_thresholds=[0.5])
        self.warn_on_many_detections = False

    def compute(self) -> Tensor:  # type: ignore[override]
        return super().compute()["map_50"]


def average_precision(
    truths: Sequence[Mapping[str, Any]], responses: Sequence[Mapping[str, Any]], labels: Sequence[str]
) -> dict[str, Any]:
    """Return COCO's metrics of JSON responses; those at IoU 0.5 are VOC's since 2010, but over 101 points of recall.

    Truths have boxes, labels and `difficult`: such objects may be found, but need not be, as COCO's crowds.
    """
    metric = MeanAveragePrecision(backend="faster_coco_eval", class_metrics=True, extended_summary=True)
    metric.warn_on_many_detections = False
    for truth, response in zip(truths, responses, strict=True):
        expected, found = metric_inputs(truth, response, labels)
        metric.update([found], [expected])
    return dict(metric.compute())


def metric_inputs(
    truth: Mapping[str, Any], response: Mapping[str, Any], labels: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return (expected, found) of one image in the form that the metric takes."""
    places = {label: place for place, label in enumerate(labels)}
    objects = response["objects"]
    expected = _tensors(truth["boxes"], [places[label] for label in truth["labels"]])
    found = _tensors([one["box"] for one in objects], [places[one["label"]] for one in objects])
    return (
        {**expected, "iscrowd": torch.tensor(truth["difficult"], dtype=torch.int64)},
        {**found, "scores": torch.tensor([one["score"] for one in objects])},
    )


def _tensors(boxes: Sequence[Sequence[float]], labels: Sequence[int]) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


def labels_of(truths: Sequence[Mapping[str, Any]], responses: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the labels of true objects and of detections, sorted."""
    predicted = (one["label"] for response in responses for one in response["objects"])
    return sorted({*predicted, *(label for truth in truths for label in truth["labels"])})


def overlay_boxes(pixels: Tensor, boxes: Tensor, names: Sequence[str]) -> Tensor:
    """Return the image, (3, H, W) of uint8, with the boxes (M, 4) drawn and a name at each."""
    return draw_bounding_boxes(pixels, boxes, list(names), colors="red") if len(boxes) else pixels


class BoxAugment:
    """Named transforms of batches (N, 3, S, S) of uint8, which move boxes along, and masks where there are any; `few`
    images share a draw of each transform.
    """

    def __init__(self, names: Sequence[str], fill: Sequence[float]) -> None:
        filled = {"others": [round(255 * channel) for channel in fill], Mask: 0}
        self.transform = v2.Compose(
            [
                *annotated_transforms(names, filled, "boxes"),
                v2.ClampBoundingBoxes(),
                v2.SanitizeBoundingBoxes(SMALLEST, labels_getter=lambda inputs: inputs[2:4]),
            ]
        )

    def __call__(
        self, pixels: Tensor, targets: Sequence[Target], few: int = IMAGES_PER_DRAW // 4
    ) -> tuple[Tensor, list[Target]]:
        changed = [
            self._together(some, targets[start : start + few])
            for start, some in zip(range(0, len(pixels), few), torch.split(pixels, few), strict=True)
        ]
        return torch.cat([some for some, _ in changed]), [target for _, those in changed for target in those]

    def _together(self, pixels: Tensor, targets: Sequence[Target]) -> tuple[Tensor, list[Target]]:
        """Transform the boxes of a few images as if they belonged to one image, and separate them again by `owner`."""
        owner = torch.arange(len(targets)).repeat_interleave(torch.tensor([len(one["labels"]) for one in targets]))
        boxes, labels = (torch.cat([one[name] for one in targets]) for name in ("boxes", "labels"))
        canvas = (pixels.shape[-2], pixels.shape[-1])
        held = BoundingBoxes(boxes, format="XYXY", canvas_size=canvas)
        masks = [Mask(torch.cat([one["masks"] for one in targets]))] if "masks" in targets[0] else []
        pixels, held, labels, owner, *masks = self.transform(pixels, held, labels, owner.to(labels.device), *masks)
        moved = {"boxes": held, "labels": labels, **({"masks": masks[0]} if masks else {})}
        mine = [owner == place for place in range(len(targets))]
        split = [{name: part.as_subclass(Tensor)[those] for name, part in moved.items()} for those in mine]
        return pixels, cast(list[Target], split)
