"""Mask R-CNN: Faster R-CNN, and a third head that predicts a mask for each detected box."""

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from models.card import Card, Recipe, Serving
from models.parts.conv import Trunk
from models.parts.detection import Detections
from models.parts.two_stage import TwoStage


class MaskRCNN(TwoStage):
    """torchvision's stages, which learn and predict masks as soon as `roi_heads` has a mask head.

    Masks are predicted for the boxes that remain after NMS, so NMS is part of `forward` here.
    """

    FOUND, LEAST = 32, 0.01  # objects per image at most, and the lowest score of an object with a mask
    MASK_POOL = 14  # the mask head's input has 14 x 14 cells per box, its output twice as many a side
    MASK_CANONICAL = 2.0  # outlines are thin: all but the largest boxes are pooled from the finest map
    MASK_WIDTHS = (48, 48)
    WIDTHS = (
        32,
        64,
        96,
        128,
    )  # of a backbone trained from scratch: ImageNet's frozen fine maps don't represent strokes

    def __init__(self, num_classes: int = 80, size: int = 128) -> None:
        super().__init__(num_classes, size, Trunk(self.WIDTHS))
        *_, width = self.MASK_WIDTHS
        heads = self.roi_heads
        heads.mask_roi_pool = self.align(self.MASK_POOL, self.MASK_CANONICAL)
        heads.mask_head = MaskRCNNHeads(self.CHANNELS, self.MASK_WIDTHS, dilation=1)
        heads.mask_predictor = MaskRCNNPredictor(width, width, self.classes)
        heads.detections_per_img = self.FOUND
        heads.score_thresh = self.LEAST

    def forward(self, images: Tensor) -> Tensor:
        sizes, features, proposals = self.proposed(images)
        with self.learning(False):
            found, _ = self.roi_heads(features, proposals, sizes)
        return torch.stack([self._packed(one) for one in found])  # (N, FOUND, 6 + 28 * 28)

    def detections(self, raw: Tensor) -> list[Detections]:
        side = 2 * self.MASK_POOL
        found = []
        for rows in raw:
            boxes, scores, labels, shapes = rows[rows[:, 4] > 0].split([4, 1, 1, side**2], dim=1)
            found.append(
                Detections(
                    boxes=boxes,
                    labels=labels.squeeze(1).long(),
                    scores=scores.squeeze(1),
                    shapes=shapes.view(-1, side, side),
                )
            )
        return found

    def _packed(self, found: dict[str, Tensor]) -> Tensor:
        """Pack each object into a row, best first: box, score, label from 0, cells; the rest are rows of zeros."""
        parts = [found["boxes"], found["scores"].unsqueeze(1), found["labels"].unsqueeze(1) - 1]
        rows = torch.cat([*(part.float() for part in parts), found["masks"].float().flatten(1)], dim=1)
        return pad(rows, (0, 0, 0, self.FOUND - len(rows)))


CARD = Card(
    name="mask_rcnn",
    task="instance_segmentation",
    network=MaskRCNN,
    data="coco_digits",
    input={"size": 192, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=16, batch_size=8, lr=2.5e-3, weight_decay=5e-4, augment=("invert",), precision="bf16"),
    serving=Serving(batch_size=8, channels_last=True, explain_steps=9),
    floor={"map_50": 0.80},
    not_exported="how many proposals are left of thousands depends on what is in the image",
    anchor="mask AP 34.6 on COCO val2017 (R50-FPN, torchvision)",
    source="He et al., arXiv:1703.06870, on the stages of models/parts/two_stage.py",
    training_seconds=318,
)
