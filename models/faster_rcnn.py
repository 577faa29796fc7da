"""Faster R-CNN: a region proposal network, and a second stage that classifies each proposal."""

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision.ops import box_area

from models.card import Card, Recipe, Serving
from models.parts.detection import Detections
from models.parts.two_stage import TwoStage


class FasterRCNN(TwoStage):
    """`forward` ends with the outputs of each proposal; NMS, which has no weights, is done in `detections`.

    Its convolutions are not folded, for the same reason that it is not exported.
    """

    def forward(self, images: Tensor) -> Tensor:
        sizes, features, proposals = self.proposed(images)
        boxes = [
            pad(some, (0, 0, 0, self.PROPOSALS - len(some))) for some in proposals
        ]  # missing proposals have size zero
        pooled = self.roi_heads.box_head(self.roi_heads.box_roi_pool(features, boxes, sizes))
        parts = [torch.cat(boxes), *self.roi_heads.box_predictor(pooled)]  # box, logits, offsets for each class
        return torch.cat(parts, dim=1).view(len(boxes), self.PROPOSALS, -1)  # (N, PROPOSALS, 4 + 5 * classes)

    def detections(self, raw: Tensor) -> list[Detections]:
        found = []
        for proposals, logits, offsets in zip(
            *torch.split(raw, [4, self.classes, 4 * self.classes], dim=-1), strict=True
        ):
            boxes = self.roi_heads.box_coder.decode(offsets, [proposals])  # (PROPOSALS, classes, 4)
            scores = logits.softmax(dim=-1) * (box_area(proposals) > 0).unsqueeze(1)
            found.append(self.best(boxes[:, 1:], scores[:, 1:]))
        return found


CARD = Card(
    name="faster_rcnn",
    task="object_detection",
    network=FasterRCNN,
    data="voc_digits",
    input={"size": 128, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(
        epochs=8,
        batch_size=8,
        lr=2e-3,
        weight_decay=5e-4,
        augment=("invert",),
        precision="bf16",
        pretrained="efficientnet_lite0",
        backbone_lr=0.3,
        kept_layers=7,
    ),
    serving=Serving(batch_size=8, channels_last=True, explain_steps=9),
    floor={"map_50": 0.85},
    not_exported="how many proposals are left of thousands depends on what is in the image",
    anchor="VOC07 mAP 79.5 (R50-FPN, mmdetection)",
    source="Ren et al., arXiv:1506.01497; feature pyramid: arXiv:1612.03144; RoI align: arXiv:1703.06870",
    training_seconds=242,
)
