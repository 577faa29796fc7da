"""What the tasks with boxes share: mean average precision, random changes that move boxes along, and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.transforms import InterpolationMode, v2
from torchvision.tv_tensors import BoundingBoxes, Mask
from torchvision.utils import draw_bounding_boxes

from models.parts.detection import Target
from training.augment import SHARED, TRANSFORMS

SMALLEST = 6  # pixels: what is left of an object that was moved out of the image is none if it is smaller


class MAP50(MeanAveragePrecision):
    """The mean over classes of the average precision at IoU 0.5, of targets and detections in a network's form."""

    def __init__(self) -> None:
        super().__init__(backend="faster_coco_eval", iou_thresholds=[0.5])
        self.warn_on_many_detections = False

    def compute(self) -> Tensor:  # type: ignore[override]
        return super().compute()["map_50"]


def average_precision(
    truths: Sequence[Mapping[str, Any]], replies: Sequence[Mapping[str, Any]], labels: Sequence[str]
) -> dict[str, Any]:
    """COCO's figures for JSON replies; those at IoU 0.5 are VOC's of 2010 on, but for 101 points of recall.

    Truths have boxes, labels and `difficult`: such objects may be found, but need not be, as COCO's crowds.
    """
    metric = MeanAveragePrecision(backend="faster_coco_eval", class_metrics=True, extended_summary=True)
    metric.warn_on_many_detections = False
    for truth, reply in zip(truths, replies, strict=True):
        wanted, found = classes_and_boxes(truth, reply, labels)
        metric.update([found], [wanted])
    return dict(metric.compute())


def classes_and_boxes(
    truth: Mapping[str, Any], reply: Mapping[str, Any], labels: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(wanted, found) of one image as the metric takes them."""
    places = {label: place for place, label in enumerate(labels)}
    objects = reply["objects"]
    wanted = _tensors(truth["boxes"], [places[label] for label in truth["labels"]])
    found = _tensors([one["box"] for one in objects], [places[one["label"]] for one in objects])
    return (
        {**wanted, "iscrowd": torch.tensor(truth["difficult"], dtype=torch.int64)},
        {**found, "scores": torch.tensor([one["score"] for one in objects])},
    )


def _tensors(boxes: Sequence[Sequence[float]], labels: Sequence[int]) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


def labels_in(truths: Sequence[Mapping[str, Any]], replies: Sequence[Mapping[str, Any]]) -> list[str]:
    """The classes that are there or were said to be, sorted."""
    said = (one["label"] for reply in replies for one in reply["objects"])
    return sorted({*said, *(label for truth in truths for label in truth["labels"])})


def drawn(pixels: Tensor, boxes: Tensor, names: Sequence[str]) -> Tensor:
    """(3, H, W) of uint8 with the boxes (M, 4) and a name at each."""
    return draw_bounding_boxes(pixels, boxes, list(names), colors="red") if len(boxes) else pixels


class BoxAugment:
    """The named transforms on batches (N, 3, S, S) of uint8, boxes moved along, and masks where there are some; `few`
    images share a draw of each.
    """

    def __init__(self, names: Sequence[str], fill: Sequence[float]) -> None:
        known = {name: transform(0) for name, transform in TRANSFORMS.items() if name in ("color", "gray", "invert")}
        known["shift"] = v2.RandomAffine(
            degrees=0,
            translate=(0.15, 0.15),
            scale=(0.8, 1.25),
            interpolation=InterpolationMode.BILINEAR,
            fill={"others": [round(255 * channel) for channel in fill], Mask: 0},
        )
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"no augmentation {', '.join(unknown)} of boxes; there are: {', '.join(known)}")
        self.transform = v2.Compose(
            [
                *(known[name] for name in names),
                v2.ClampBoundingBoxes(),
                v2.SanitizeBoundingBoxes(SMALLEST, labels_getter=lambda inputs: inputs[2:4]),
            ]
        )

    def __call__(
        self, pixels: Tensor, targets: Sequence[Target], few: int = SHARED // 4
    ) -> tuple[Tensor, list[Target]]:
        changed = [
            self._together(some, targets[start : start + few])
            for start, some in zip(range(0, len(pixels), few), torch.split(pixels, few), strict=True)
        ]
        return torch.cat([some for some, _ in changed]), [target for _, those in changed for target in those]

    def _together(self, pixels: Tensor, targets: Sequence[Target]) -> tuple[Tensor, list[Target]]:
        """All boxes of a few images as if they were of one, told apart again by `owner`."""
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
